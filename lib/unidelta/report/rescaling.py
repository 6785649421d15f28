"""What a failing transfer lacks: the right direction of the vector, or only its length (`stages.controls.rescaled`)."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure

from unidelta.projections import KINDS
from unidelta.report.figures import COLOUR, canvas
from unidelta.report.measures import (
    CONTROLS,
    FREE,
    LABEL,
    PAIRS,
    by_seed,
    html,
    interval,
    markdown,
    number,
    over_seeds,
    plural,
    points,
    relative,
    rows_of,
)
from unidelta.report.results import Results, framed, serving
from unidelta.stages import original, transfer
from unidelta.stages.controls import FACTORS, controls, rescaled
from unidelta.stages.workbench import Run

CONTROLLED = ("train_solution", "own_vector", "mean_vector", "untuned")  # what the target delta has without any tuning
WAYS = {"plain": "best vector as it is", "sub": "its path, best point on dev",
        "scaled": "best vector, best length on dev"}


def collect(run: Run, unseen: Sequence[str], seeds: Sequence[int], train: Sequence[str] | None = None) -> Results:
    """Return a frame like that of `report.collect`, for three ways of transfer and the controls that need no subspace.

    Beside `ori` and these controls its columns are `sub`, the transfer of Tables 2 and 4; `plain` and `scaled`, the
    transfer of the source's best vector as it is and with the `factor` that does best on dev; and for every factor f a
    column `x f`, the dev score in percent of the target's dev score in its own space."""
    lines, stages = [], []
    for trained, mine in serving(unseen, train).items():
        own = original(run, mine, seeds=seeds)
        moved = transfer(run, trained, mine, seeds=seeds)
        fitted = rescaled(run, trained, mine, seeds)
        still = controls(run, trained, mine, seeds)
        stages += [own, moved, fitted, still]
        for task, seed, s, t in itertools.product(mine, seeds, KINDS, KINDS):
            ori = own[task, t, seed].metrics
            scores = fitted[task, seed].metrics
            free = still[task, seed].metrics
            line = {"train": "+".join(trained), "task": task, "seed": seed, "source": s, "target": t,
                    "ori": ori["test"], "sub": moved[task, seed].metrics["test"][s][t],
                    "plain": scores["plain"][s][t], "scaled": scores["test"][s][t], "factor": scores["factor"][s][t]}
            line |= {c: free[c] for c in FREE}
            for factor, dev in zip(FACTORS, scores["dev"][s][t], strict=True):
                line[f"x {factor:.2f}"] = 100 * dev / ori["dev"] if ori["dev"] else float("nan")
            lines.append(line)
    return framed(run, seeds, lines, *stages)


def _factor(frame: pd.DataFrame) -> float:
    """Return the geometric mean of the factors."""
    return float(np.exp(np.log(frame["factor"]).mean()))


def table(results: Results) -> HTML:
    """Return relative performance after transfer, by direction and by group of tasks, in the three ways of WAYS.

    The factor of the third way is shown by direction only: over all directions, factors above and below 1 would
    cancel."""
    frame = results.moved
    rows = {f"{LABEL[s]} → {LABEL[t]}": frame[(frame.source == s) & (frame.target == t)] for s, t in PAIRS}
    rows |= {f"<b>{name}</b> ({mine.task.nunique()})": mine for name, mine in rows_of(frame, clear=False).items()}
    return html([{"": name, **{text: number(*over_seeds(mine, relative(mine, c))) for c, text in WAYS.items()},
                  "factor": "" if "<b>" in name else f"{_factor(mine):.2f}"}
                 for name, mine in rows.items()])


def figure(results: Results) -> Figure:
    """Plot dev score against the factor, mean over tasks and seeds.

    There is one panel per delta that is given the vector, and one line per delta that found it."""
    columns = [f"x {f:.2f}" for f in FACTORS]
    picture, axes = canvas(1, len(KINDS), height=2.6, sharey=True)
    for axis, target in zip(axes, KINDS, strict=True):
        for source in KINDS:
            mine = results.frame[(results.frame.source == source) & (results.frame.target == target)]
            style = "o-" if source != target else "o:"
            axis.plot(FACTORS, mine[columns].mean(), style, markersize=3, color=COLOUR[source])
            axis.plot([], [], "o-", markersize=3, color=COLOUR[source], label=f"found with {LABEL[source]}")
        axis.plot([], [], ":", color="black", label="its own vector")
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set(title=f"used for {LABEL[target]}", xlabel="length, times its own (log scale)", xscale="log")
        axis.set_xticks([0.5, 1, 2], ["0.5", "1", "2"])
        axis.minorticks_off()
    axes[0].set(ylabel="dev score, % of own space", ylim=(0, None))
    picture.legend(*axes[0].get_legend_handles_labels(), fontsize=7, ncols=4, loc="outside lower center")
    return picture


def told(results: Results, beside: Results) -> Markdown:
    """Say what each of the three ways reaches, what the vector adds as it is, and which directions want another length.

    What it adds is measured against the best of CONTROLLED. beside: the same tasks with the controls that tune nothing
    (`report.collect`)."""
    lines = []
    for name, mine in rows_of(results.moved, clear=False).items():
        reached = {c: number(*over_seeds(mine, relative(mine, c))) for c in WAYS}
        still = beside.moved[beside.moved.task.isin(mine.task)]
        best = max(CONTROLLED, key=lambda c: by_seed(still, c).mean())
        added = interval(by_seed(mine, "plain") - by_seed(still, best))
        lines.append(f"- **{name}** ({plural(mine.task.nunique(), 'task')}): sent as it is, a delta's best vector "
                     f"reaches {reached['plain']} % of the other deltas' E_ori; {reached['sub']} % if any point of its "
                     f"path may be sent; {reached['scaled']} % if its length is fitted instead. "
                     f"As it is, it adds {points(*added)} to the best that the other deltas reach without tuning "
                     f"({CONTROLS[best]}; chance is not counted).")
    frame = results.moved
    each = {(s, t): _factor(frame[(frame.source == s) & (frame.target == t)]) for s, t in PAIRS}
    low, high = min(each, key=each.get), max(each, key=each.get)
    lines.append(f"- The geometric means of the factors go from {each[low]:.2f} ({LABEL[low[0]]} → {LABEL[low[1]]}) "
                 f"to {each[high]:.2f} ({LABEL[high[0]]} → {LABEL[high[1]]}).")
    return markdown("\n".join(lines))
