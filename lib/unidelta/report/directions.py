"""How many directions of a subspace stage 1 trains at all.

They are counted by the singular values of what it changed in Proj_up, which starts from random columns.
"""

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd
import torch
from IPython.display import HTML, Markdown
from torch import Tensor

from unidelta.projections import KINDS, Projection
from unidelta.report.measures import LABEL, html
from unidelta.report.results import Results
from unidelta.stages import approximate, shared
from unidelta.stages.workbench import Run

PIPELINES = {"main": "main pipeline", "simplified": "simplified pipeline (appendix A.3)"}


def effective(values: Tensor) -> float:
    """Return how many directions a matrix has, by its singular values: (sum of s^2)^2 / sum of s^4.

    This is the participation ratio: n if n of the values are equal and the rest zero."""
    squares = values.double().square()
    return float(squares.sum().square() / squares.square().sum())


def collect(run: Run, trained: Sequence[Sequence[str]], seeds: Sequence[int], simplified: bool = True) -> Results:
    """Return what stage 1 changed in Proj_up, one row per pipeline, subspace, seed and delta.

    Every item of `trained` holds the training tasks of one subspace. Of the change of Proj_up (N, y) against its start,
    `first` is the percentage of its squared length (sum of s^2) that lies in the leading direction, and `effective` is
    the number of directions. simplified: include the simplified pipeline as well."""
    lines, ids = [], set()
    for train in trained:
        spaces_of = {"main": approximate(run, train, seeds)}
        if simplified:
            spaces_of["simplified"] = shared.shared(run, train, KINDS, seeds)
        for pipeline, spaces in spaces_of.items():
            ids |= {space.id for space in spaces.values()}
            for seed, kind in product(seeds, KINDS):
                up = spaces[seed].tensors()[f"up.{kind}"].float()
                if pipeline == "main":
                    start = Projection.start(*up.shape, [seed], kind).up[0]
                else:
                    start = shared.start_up(*up.shape, seed, kind)
                values = torch.linalg.svdvals(up - start)
                lines.append({"pipeline": pipeline, "train": "+".join(train), "tasks": len(train), "seed": seed,
                              "target": kind, "first": float(100 * values[0] ** 2 / values.square().sum()),
                              "effective": effective(values)})
    return Results(run, list(seeds), pd.DataFrame(lines), sorted(ids))


def table(found: Mapping[str, Results]) -> HTML:
    """Return how many of the y directions were trained, by setting and pipeline; settings of few training tasks first.

    The numbers are means over subspaces and seeds, by delta; then come the ranges of `effective` and `first`."""
    lines = []
    for name, results in sorted(found.items(), key=lambda item: (item[1].frame.tasks.max(), item[0])):
        for pipeline, text in PIPELINES.items():
            mine = results.frame[results.frame.pipeline == pipeline]
            if mine.empty:
                continue
            each = {LABEL[k]: f"{mine[mine.target == k].effective.mean():.1f}" for k in KINDS}
            lines.append({"setting": name, "": text, "y": results.run.profile.y,
                          "training tasks": mine.tasks.max(), **each,
                          "least to most": f"{mine.effective.min():.1f} to {mine.effective.max():.1f}",
                          "share of the first": f"{mine['first'].min():.0f} to {mine['first'].max():.0f} %"})
    return html(lines)


def told(results: Results) -> Markdown:
    """Say in a sentence what share the leading direction has in subspaces of one training task."""
    parts = []
    for pipeline, text in PIPELINES.items():
        share = results.frame[results.frame.pipeline == pipeline]["first"]
        parts.append(f"{share.min():.1f} to {share.max():.1f} % in the {text}")
    return Markdown("Of what stage 1 changes in Proj_up with one training task, one direction holds "
                    f"{' and '.join(parts)}.")
