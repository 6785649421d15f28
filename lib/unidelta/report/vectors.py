"""How alike the three deltas' vectors of one training task are, and whether transfer goes with it.

Stage 1 has mixtures of these vectors solve the training task. Whether the vectors themselves come together is left to
the reconstruction term.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure
from torch import cosine_similarity

from unidelta.projections import KINDS
from unidelta.report.figures import OF, canvas
from unidelta.report.measures import LABEL, html, number, over_seeds, relative
from unidelta.report.results import Results
from unidelta.stages import approximate
from unidelta.stages.workbench import Run


def collect(run: Run, trained: Sequence[str], seeds: Sequence[int]) -> Results:
    """Return the cosine of every two deltas' own vectors of a training task, a row for each task, seed and pair.

    trained: training tasks, each with a subspace of its own."""
    lines, ids = [], set()
    for task in trained:
        for seed, space in approximate(run, [task], seeds).items():
            ids.add(space.id)
            own = {k: space.tensors()[f"I.{k}"][0] for k in KINDS}
            lines += [{"train": task, "seed": seed, "source": a, "target": b,
                       "cosine": float(cosine_similarity(own[a], own[b], dim=0))} for a, b in combinations(KINDS, 2)]
    return Results(run, list(seeds), pd.DataFrame(lines), sorted(ids))


def pairs(vectors: Results, results: Results) -> pd.DataFrame:
    """Return the rows of `collect` with `transfer` between the two deltas beside each.

    It is the mean over both directions and the unseen tasks of that subspace, in percent of E_ori. Pairs without a
    result are left out."""
    def by(frame):  # the two directions are one pair
        return frame.assign(pair=["-".join(sorted(both)) for both in zip(frame.source, frame.target, strict=True)])
    moved = by(results.moved.assign(transfer=relative(results.moved)))
    mean = moved.groupby(["train", "seed", "pair"], as_index=False).transfer.mean()
    return by(vectors.frame).merge(mean, on=["train", "seed", "pair"]).dropna()


def table(found: Mapping[str, tuple[Results, Results]]) -> HTML:
    """Return the cosines of each pair, transfer, and the rank correlation (Spearman's) of the two. found: see `figure`.

    The correlation is over pairs, training tasks and seeds, which are not independent of each other."""
    lines = []
    for name, (vectors, results) in found.items():
        points = pairs(vectors, results)
        cosines = {f"{LABEL[a]} and {LABEL[b]}": mine.cosine
                   for (a, b), mine in points.groupby(["source", "target"], sort=False)}
        lines.append({"variant": name, **{pair: f"{each.mean():.2f}" for pair, each in cosines.items()},
                      "least to most": f"{points.cosine.min():.2f} to {points.cosine.max():.2f}",
                      "transfer": number(*over_seeds(results.moved, relative(results.moved))),
                      "rank correlation": f"{points.cosine.corr(points.transfer, method='spearman'):.2f}"})
    return html(lines)


def figure(found: Mapping[str, tuple[Results, Results]]) -> Figure:
    """Plot transfer between two deltas over the cosine of their training vectors: a panel for each variant.

    found: by variant, the cosines (`collect`) and the results of `report.collect`."""
    drawn, axes = canvas(columns=len(found), height=2.4, sharex=True, sharey=True)
    for axis, (name, both) in zip(axes, found.items(), strict=True):
        points = pairs(*both)
        axis.plot(points.cosine, points.transfer, "o", markersize=3, alpha=0.6, color="black")
        axis.set(title=name, xlabel="cosine of the two deltas' vectors", xlim=(-1.05, 1.05), ylim=(0, 105))
    axes[0].set_ylabel(f"transfer between them, {OF}")
    return drawn
