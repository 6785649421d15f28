"""The stages of the paper by name. Each is compute-or-load: it loads what the store holds and computes what is missing.

    original -> approximate -> optimize -> transfer         the decomposed pipeline (section 4)
                                  `------> landscape        the scores around what `optimize` found (section 5.2.3)

They are in the modules `solutions`, `approximation`, `optimization`, `transferring` and `landscapes`, and build on
`workbench` (a profile opened, compute-or-load) and `scoring` (losses and scores of whole stacks). A stage also computes
the stages before it where the store lacks their results. Every stage takes a `Run`, such as `Run.open("embedded")`, and
returns artifacts keyed by what varies. The simplified pipeline of appendix A.3 is the module `shared`, and comparisons
that need no stage of their own are in `controls` (`from unidelta.stages import controls, shared`).
"""

from unidelta.stages.approximation import approximate
from unidelta.stages.landscapes import landscape
from unidelta.stages.optimization import optimize
from unidelta.stages.solutions import original
from unidelta.stages.transferring import transfer
from unidelta.stages.workbench import Run

__all__ = ["Run", "approximate", "landscape", "optimize", "original", "transfer"]
