"""The stages of the paper by name, each compute-or-load: what the store holds is loaded, what is missing is computed, upstream too.

    original -> approximate -> optimize -> transfer         the decomposed pipeline (section 4)
                                  `------> landscape        the scores around what `optimize` found (section 5.2.3)

Every stage takes a `Run`, `Run.open("embedded")` say, and returns artifacts keyed by what varies. The simplified pipeline of appendix A.3 is
`unidelta.stages.shared`; what needs no stage of its own to compare with is `unidelta.stages.controls`.
"""

from unidelta.stages.decomposed import approximate, optimize, original, transfer
from unidelta.stages.landscapes import landscape
from unidelta.stages.workbench import Run

__all__ = ["Run", "approximate", "landscape", "optimize", "original", "transfer"]
