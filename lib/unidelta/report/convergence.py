"""How soon each delta's loss goes down: in its own space, and in the approximation of the subspace (section 5.2.2).

The paper observes that the prefix converges much slower than the others when the subspace is approximated, and shows no curve of it. A
curve here is what a training log holds: a list of losses at equal distances of steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from IPython.display import HTML

from unidelta.projections import KINDS
from unidelta.report.measures import LABEL, html, interval, number
from unidelta.stages import approximate, original
from unidelta.stages.workbench import Run

WAY = 0.9  # of the way down
SPACE, TASK, DIST = "own space", "subspace: task loss", "subspace: weighted reconstruction"
Curves = dict[str, dict[str, list[list[float]]]]


def of_subspaces(logs: Sequence[list[dict]]) -> Curves:
    """What a subspace's loss is made of -> delta -> one curve per log of `approximate` (its `parts`, ten values between two validations).

    Raises ValueError for a log that holds no parts."""
    if any("parts" not in record for log in logs for record in log):
        raise ValueError("a training log of `approximate` holds no parts of the loss: compute the subspace again")
    return {name: {k: [sum((record["parts"][f"{part}.{k}"] for record in log), []) for log in logs] for k in KINDS}
            for name, part in ((TASK, "task"), (DIST, "dist"))}


def curves(run: Run, train: Sequence[str], seeds: Sequence[int]) -> tuple[Curves, list[str]]:
    """The curves of the training tasks' own solutions and of the subspaces approximated on each task by itself, and the artifacts' ids."""
    own, spaces = original(run, train, seeds=seeds), [a for task in train for a in approximate(run, [task], seeds).values()]
    found = {SPACE: {k: [[r["loss"][0] for r in own[t, k, s].log()] for t in train for s in seeds] for k in KINDS}}
    return found | of_subspaces([a.log() for a in spaces]), sorted({a.id for a in (*own.values(), *spaces)})


def reached(curve: Sequence[float], way: float = WAY) -> float:
    """The part of the steps, in percent, after which the loss has gone `way` of the way from its first to its lowest value; 0 for a loss that
    never falls below its first value. The first value is a mean over steps, so what happens within it is not seen; of fewer than three
    values nothing can be said (NaN)."""
    if len(curve) < 3:
        return float("nan")
    first, low = curve[0], min(curve)
    return 100 * next(i for i, value in enumerate(curve) if value <= first - way * (first - low)) / len(curve)


def table(found: Curves) -> HTML:
    """First and lowest loss of every delta, and how soon it has gone WAY of the way down: means and half intervals over runs."""
    lines = []
    for name, each in found.items():
        for kind, runs in each.items():
            seen = [at for c in runs if (at := reached(c)) == at]
            lines.append({"": name, "delta": LABEL[kind], "runs": len(runs), "with three values or more": len(seen),
                          "first loss": f"{np.mean([c[0] for c in runs]):.2f}",
                          "lowest": f"{np.mean([min(c) for c in runs]):.3f}",
                          f"{100 * WAY:.0f} % of the way down, after % of the steps": number(*interval(seen))})
    return html(lines)


def lag(found: Curves, name: str = TASK) -> tuple[float, float]:
    """By how many percent of the steps the prefix reaches WAY later than the slower of the other two, run by run: mean and half interval."""
    at = {k: np.array([reached(c) for c in runs]) for k, runs in found[name].items()}
    later = at["prefix"] - np.maximum(at["adapter"], at["lora"])
    return interval(later[~np.isnan(later)])
