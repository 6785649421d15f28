"""How soon each delta's loss goes down: in its own space, and in the approximation of the subspace (section 5.2.2).

The paper observes that the prefix converges much slower than the others when the subspace is approximated, and shows no curve of it. A
curve here is what a training log holds: a list of losses at equal distances of steps. Three deltas are compared at a level that each of
them comes from above and reaches: a loss that stays high is soon near its own lowest.
"""

from collections.abc import Sequence

import numpy as np
from IPython.display import HTML, Markdown

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
    return {name: {k: [[_number(v) for record in log for v in record["parts"][f"{part}.{k}"]] for log in logs] for k in KINDS}
            for name, part in ((TASK, "task"), (DIST, "dist"))}


def curves(run: Run, train: Sequence[str], seeds: Sequence[int]) -> tuple[Curves, list[str]]:
    """The curves of the training tasks' own solutions and of the subspaces approximated on each task by itself, task by task and seed by seed, and
    the artifacts' ids."""
    own, spaces = original(run, train, seeds=seeds), [a for task in train for a in approximate(run, [task], seeds).values()]
    found = {SPACE: {k: [[_number(r["loss"][0]) for r in own[t, k, s].log()] for t in train for s in seeds] for k in KINDS}}
    return found | of_subspaces([a.log() for a in spaces]), sorted({a.id for a in (*own.values(), *spaces)})


def _number(value: float | None) -> float:
    return float("inf") if value is None else value  # a loss that was not finite is stored so


def level(curves: Sequence[Sequence[float]]) -> float:
    """The loss at which some curves are compared: WAY of the way from the lowest of their first values to the highest of their lowest, which all reach."""
    first, low = min(c[0] for c in curves), max(min(c) for c in curves)
    return max(first - WAY * (first - low), low)


def reached(curve: Sequence[float], at: float) -> float:
    """The part of the steps, in percent, after which a loss first is no higher than `at`. A value is a mean over steps: what happens within is not seen."""
    return 100 * next(i for i, value in enumerate(curve) if value <= at) / len(curve)


def arrivals(each: dict[str, list[list[float]]], seeds: int) -> dict[str, np.ndarray]:
    """Of every delta, when it reaches the level of its run (`reached`), in the mean over the tasks of each seed, (seeds,).

    each: by delta, curves of the same runs, in which the seed changes fastest."""
    runs = list(zip(*each.values(), strict=True))
    at = [level(three) for three in runs]
    when = {k: [reached(c, a) if len(c) > 2 else float("nan") for c, a in zip(each[k], at, strict=True)] for k in each}  # of two values nothing can be said
    return {k: np.array(values).reshape(-1, seeds).mean(0) for k, values in when.items()}


def table(found: Curves, seeds: int) -> HTML:
    """Of what a subspace's loss is made of, by delta: first and lowest value, and how soon it comes down; means and half intervals over seeds."""
    lines = []
    for name, each in ((name, each) for name, each in found.items() if name != SPACE):
        for kind, when in arrivals(each, seeds).items():
            lines.append({"": name, "delta": LABEL[kind], "runs": len(each[kind]), "first loss": f"{np.mean([c[0] for c in each[kind]]):.2f}",
                          "lowest": f"{np.mean([min(c) for c in each[kind]]):.3f}", "down after % of the steps": number(*interval(when))})
    return html(lines)


def lag(found: Curves, seeds: int) -> tuple[float, float]:
    """By how many percent of the steps the prefix's task loss comes down later than the slower of the other two: mean and half interval over seeds."""
    at = arrivals(found[TASK], seeds)
    return interval(at["prefix"] - np.maximum(at["adapter"], at["lora"]))


def said(found: Curves, seeds: int) -> Markdown:
    """The prefix's lag, and when the others pass what it comes to, in three sentences."""
    each = found[TASK]
    low = {k: np.mean([min(c) for c in runs]) for k, runs in each.items()}
    passed = {k: np.mean([reached(c, max(min(p), min(c))) for c, p in zip(each[k], each["prefix"], strict=True)]) for k in ("adapter", "lora")}
    late, half = lag(found, seeds)
    return Markdown(f"While the subspace is approximated, the prefix's task loss comes down {number(abs(late), half)} % of the steps "
                    f"{'later' if late >= 0 else 'earlier'} than the slower of the two others. Its lowest value is {low['prefix']:.3f}, theirs "
                    f"{low['adapter']:.3f} (adapter) and {low['lora']:.3f} (LoRA). They pass the prefix's lowest value after "
                    f"{passed['adapter']:.0f} and {passed['lora']:.0f} % of the steps.")
