"""How soon each delta's loss goes down: in its own space, and in the approximation of the subspace (section 5.2.2).

The paper observes that the prefix converges much slower than the others when the subspace is approximated, and shows no
curve of it. A curve here is what a training log holds: losses at equal distances of steps. The three deltas are
compared at one level, which each of them comes from above and reaches. A delta's own lowest value would not do as the
level: a loss that stays high is soon near it.
"""

from collections.abc import Sequence

import numpy as np
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from unidelta.projections import KINDS
from unidelta.report.figures import COLOUR, canvas
from unidelta.report.measures import LABEL, html, interval, number
from unidelta.stages import approximate, original
from unidelta.stages.workbench import Run

WAY = 0.9  # of the way down, in `level`
SPACE, TASK, DIST = "own space", "subspace: task loss", "subspace: weighted reconstruction"
Curves = dict[str, dict[str, list[list[float]]]]


def of_subspaces(logs: Sequence[list[dict]]) -> Curves:
    """Return the curves of a subspace's loss: part of the loss -> delta -> one curve per log of `approximate`.

    They come from the log's `parts`, ten values between two validations. Raises ValueError for a log without parts."""
    if any("parts" not in record for log in logs for record in log):
        raise ValueError("a training log of `approximate` holds no parts of the loss: compute the subspace again")
    def curve(log, part):
        return [_number(value) for record in log for value in record["parts"][part]]
    return {name: {k: [curve(log, f"{part}.{k}") for log in logs] for k in KINDS}
            for name, part in ((TASK, "task"), (DIST, "dist"))}


def curves(run: Run, train: Sequence[str], seeds: Sequence[int]) -> tuple[Curves, list[str]]:
    """Return the training curves of the training tasks, and the artifacts' ids.

    They are those of the tasks' own solutions and of the subspaces approximated on each task by itself. The order is
    task by task, within a task seed by seed."""
    own = original(run, train, seeds=seeds)
    spaces = [a for task in train for a in approximate(run, [task], seeds).values()]

    def curve(artifact):
        return [_number(record["loss"][0]) for record in artifact.log()]
    found = {SPACE: {k: [curve(own[t, k, s]) for t in train for s in seeds] for k in KINDS}}
    return found | of_subspaces([a.log() for a in spaces]), sorted({a.id for a in (*own.values(), *spaces)})


def _number(value: float | None) -> float:
    return float("inf") if value is None else value  # a loss that was not finite is stored as None


def level(curves: Sequence[Sequence[float]]) -> float:
    """Return the loss at which some curves are compared, which all of them reach.

    It lies WAY of the way from the lowest of their first values down to the highest of their lowest values. If that
    highest value is above the lowest first value, it is the level itself."""
    first = min(c[0] for c in curves)
    low = max(min(c) for c in curves)
    return max(first - WAY * (first - low), low)


def reached(curve: Sequence[float], at: float) -> float:
    """Return the share of the steps, in percent, after which a loss is first no higher than `at`.

    Every value of a curve is a mean over steps and counts at their end, as in `figure`; what happens
    within them is not seen."""
    return 100 * next(i for i, value in enumerate(curve, 1) if value <= at) / len(curve)


def arrivals(each: dict[str, list[list[float]]], seeds: int) -> dict[str, np.ndarray]:
    """Return for every delta when it reaches the level of its run (`reached`): mean over tasks for each seed, (seeds,).

    each: by delta, the curves of the same runs, in which the seed changes fastest. seeds: how many there are."""
    runs = list(zip(*each.values(), strict=True))
    at = [level(three) for three in runs]
    # a curve of at most two values says nothing
    when = {k: [reached(c, a) if len(c) > 2 else float("nan") for c, a in zip(each[k], at, strict=True)] for k in each}
    return {k: np.array(values).reshape(-1, seeds).mean(0) for k, values in when.items()}


def figure(found: Curves) -> Figure:
    """Plot training losses of the three deltas against the share of the steps, one panel per loss.

    Every run is a thin line, their mean a thick one. found: what is trained -> delta -> one curve per run, as in
    `curves`. Runs of different lengths are interpolated at the same shares."""
    drawing, axes = canvas(1, len(found), height=2.8)
    at = np.linspace(0, 100, 101)
    for axis, (name, curves) in zip(axes, found.items(), strict=True):
        for kind, runs in curves.items():
            each = [np.interp(at, 100 * np.arange(1, len(run) + 1) / len(run), run) for run in runs]
            axis.plot(at, np.transpose(each), color=COLOUR[kind], alpha=0.15, linewidth=0.6)
            axis.plot(at, np.mean(each, axis=0), color=COLOUR[kind], label=LABEL[kind])
        axis.set(title=name, xlabel="% of the steps", yscale="log")
        low, high = axis.get_ylim()
        axis.yaxis.set_major_formatter("{x:g}")
        if high < 10 * low:  # between two powers of ten, or with one alone
            axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
            axis.yaxis.set_minor_formatter("{x:.3g}")
        else:
            axis.yaxis.set_minor_formatter(NullFormatter())
    axes[0].set(ylabel="loss")
    axes[-1].legend(fontsize=7)
    return drawing


def table(found: Curves, seeds: int) -> HTML:
    """Return first and lowest value of each part of a subspace's loss, by delta, and how soon it comes down.

    The values are means over runs; how soon is a mean and half interval over seeds."""
    lines = []
    for name, each in found.items():
        if name == SPACE:
            continue
        for kind, when in arrivals(each, seeds).items():
            lines.append({"": name, "delta": LABEL[kind], "runs": len(each[kind]),
                          "first loss": f"{np.mean([c[0] for c in each[kind]]):.2f}",
                          "lowest": f"{np.mean([min(c) for c in each[kind]]):.3f}",
                          "down after % of the steps": number(*interval(when))})
    return html(lines)


def lag(found: Curves, seeds: int) -> tuple[float, float]:
    """Return by how many percent of the steps the prefix's task loss comes down later than the slower of the other two.

    It is a mean and half interval over seeds; the slower of the two is taken for each seed."""
    at = arrivals(found[TASK], seeds)
    return interval(at["prefix"] - np.maximum(at["adapter"], at["lora"]))


def said(found: Curves, seeds: int) -> Markdown:
    """Describe the prefix's lag, when the others pass its lowest value, and how soon the reconstruction comes down."""
    each = found[TASK]
    low = {k: np.mean([min(c) for c in runs]) for k, runs in each.items()}
    others = ("adapter", "lora")
    pairs = {k: list(zip(each[k], each["prefix"], strict=True)) for k in others}
    passed = "They do not all get as low as the prefix."
    if all(min(c) <= min(p) for both in pairs.values() for c, p in both):
        when = [f"{np.mean([reached(c, min(p)) for c, p in pairs[k]]):.0f}" for k in others]
        passed = f"They pass the prefix's lowest value after {when[0]} and {when[1]} % of the steps."
    late, half = lag(found, seeds)
    down = {k: when.mean() for k, when in arrivals(found[DIST], seeds).items()}
    return Markdown("While the subspace is approximated, the prefix's task loss comes down "
                    f"{number(abs(late), half)} % of the steps {'later' if late >= 0 else 'earlier'} than the slower "
                    f"of the other two (the logs see steps of {100 / len(each['prefix'][0]):.0f} % and no variation "
                    f"below that). Its lowest value is {low['prefix']:.3f}, theirs {low['adapter']:.3f} "
                    f"(adapter) and {low['lora']:.3f} (LoRA). {passed} "
                    f"Its reconstruction is down after {down['prefix']:.0f} % of the steps, theirs after "
                    f"{down['adapter']:.0f} % (adapter) and {down['lora']:.0f} % (LoRA).")
