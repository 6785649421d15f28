"""The figures of the book, one function each, in one style.

Each delta has the same colour everywhere; the three colours are safe for colour-blind readers. A function returns a
matplotlib figure, which the notebook shows with its caption below, or HTML where a picture alone is not enough.
"""

from collections.abc import Sequence
from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.core.pylabtools import print_figure
from IPython.display import HTML
from matplotlib.figure import Figure

from unidelta import paper, tasks
from unidelta.projections import KINDS
from unidelta.report.measures import CONTROLS, LABEL, ONE, PAIRS, TRANSFER, over_seeds, relative, rows_of, weak
from unidelta.report.results import Results
from unidelta.stages import approximate, optimize, original
from unidelta.stages.workbench import Run
from unidelta.store import Artifact

COLOUR = {"adapter": "#0072B2", "prefix": "#009E73", "lora": "#D55E00"}
MARKER = {"adapter": "o", "lora": "D", "prefix": "^"}  # hollow, where points of several deltas may coincide
OF = r"% of $E_\mathrm{ori}$"
STYLE = {"figure.dpi": 150, "figure.constrained_layout.use": True, "font.size": 9, "axes.spines.top": False,
         "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "axes.axisbelow": True,
         "legend.frameon": False, "axes.titlesize": 9, "lines.linewidth": 1.4}


def canvas(rows: int = 1, columns: int = 1, height: float = 2.6, width: float = 7.2, **options) -> tuple[Figure, list]:
    """Make a figure of the book's width with rows * columns axes, in the shared style.

    It is not shown until the notebook returns it. height: of one row of axes; both lengths are in inches."""
    plt.rcParams.update(STYLE)
    figure, axes = plt.subplots(rows, columns, figsize=(width, height * rows), squeeze=False, **options)
    plt.close(figure)  # the notebook displays what a cell returns; an open figure would be shown twice
    return figure, list(axes.flat)


def picture(figure: Figure, alt: str) -> HTML:
    """Return a figure with its alternative text, for a page that shows what another page's notebook made."""
    return HTML(f'<img alt="{escape(alt)}" '
                f'src="data:image/png;base64,{print_figure(figure, base64=True).strip()}">')


def learning_curve(training: dict) -> Figure:
    """Plot pre-training: the loss, and the share of newly drawn items answered exactly, one line per skill.

    A skill's line begins where the skill was first probed by itself. training: the contents of training.json."""
    figure, (left, right) = canvas(columns=2, height=3.0)
    curve = training["curve"]
    steps = [r["step"] for r in curve]
    left.plot(steps, [r["loss"] for r in curve], color="black")
    left.set(xlabel="step", ylabel="training loss (nats per token)", yscale="log")
    skills = [k for k in curve[-1] if k not in ("step", "loss", "seconds")]
    for i, name in enumerate(sorted(skills, key=lambda k: -curve[-1][k])):  # nine lines that can be told apart
        right.plot(steps, [r.get(name, np.nan) for r in curve], label=name,
                   color=("black", "#CC79A7", "#56B4E9")[i // 3 % 3], linestyle=("-", "--", ":")[i % 3])
    right.set(xlabel="step", ylabel="new items answered exactly", ylim=(0, 1.02))
    right.legend(fontsize=7, ncols=2, loc="lower right", handlelength=3)
    return figure


def _curve(axis, artifacts: Sequence[Artifact], field: str, colour: str, label: str, marker: str = "o") -> None:
    for i, artifact in enumerate(artifacts):
        log = artifact.log()
        axis.plot([r["step"] for r in log], [r[field][0] for r in log], "-", marker=marker, markersize=5,
                  markerfacecolor="none", color=colour, alpha=0.8 if i == 0 else 0.35, label=label if i == 0 else None)


def training_curves(run: Run, train: Sequence[str], seeds: Sequence[int]) -> Figure:
    """Plot loss and dev score of training tasks, one line per seed.

    On the left each delta is in its own space, on the first of the tasks; on the right is the subspace of all of them
    (dev score at the centroids)."""
    done, spaces = original(run, train, seeds=seeds), approximate(run, train, seeds)
    figure, axes = canvas(2, 2, height=2.2)
    for field, row in (("loss", axes[:2]), ("dev", axes[2:])):
        for kind in KINDS:
            _curve(row[0], [done[train[0], kind, s] for s in seeds], field, COLOUR[kind], LABEL[kind],
                   MARKER[kind])
        _curve(row[1], [spaces[s] for s in seeds], field, "black",
               "sum over deltas" if field == "loss" else "centroid, mean over deltas")
        row[0].set(ylabel={"loss": "training loss", "dev": "dev score"}[field])
    axes[1].set(yscale="log")
    for axis, title in zip(axes, ("own space", "subspace (task loss + reconstruction)", "", ""), strict=True):
        axis.set(title=title)
        axis.legend(fontsize=7)
    for axis in axes[2:]:
        axis.set(xlabel="step", ylim=(-0.03, 1.05))
    for axis in axes:
        axis.set(xlim=(0, None))
    return figure


def trajectories(results: Results) -> Figure:
    """Plot stage 2: dev score of every validated vector, mean over seeds.

    There is one panel per unseen task and one line style per learning rate."""
    run, seeds = results.run, results.seeds
    served = results.own[["train", "task"]].drop_duplicates().values.tolist()
    figure, axes = canvas(1, len(served), height=2.8, sharey=True)
    for axis, (train, task) in zip(axes, served, strict=True):
        found = optimize(run, train.split("+"), [task], seeds=seeds)
        for kind in results.kinds:
            dev = sum(found[task, kind, s].tensors()["kept_scores"] for s in seeds) / len(seeds)
            steps = [r["step"] for r in found[task, kind, seeds[0]].log()]
            for i, rate in enumerate(run.profile.optimize_lrs):
                axis.plot(steps, 100 * dev[:, i], color=COLOUR[kind], linestyle=("-", "--", ":")[i % 3],
                          marker="o", markersize=3, label=f"{LABEL[kind]}, lr {rate:g}")
        axis.set(title=task, xlabel="step", ylim=(-3, 103))
    axes[0].set(ylabel="dev score, %")
    figure.legend(*axes[-1].get_legend_handles_labels(), fontsize=7, ncols=3, loc="outside lower center",
                  handlelength=4)  # a solid and a dashed line can be told apart
    return figure


def dots(results: Results, n: int) -> Figure:
    """Draw Table 1, 2, 3 or 4 as a figure: relative performance of every delta or direction, one line per task.

    Our figures are filled, the paper's are hollow."""
    frame = results.shown(n).assign(weak=weak)
    frame = frame.assign(rel=relative(frame))
    rows = [r for r in paper.table(n).to_dict("records")
            if r["test"] != paper.AVERAGE and paper.task_name(r["test"]) in set(frame.task)]
    pairs = [(k, k) for k in results.kinds] if n not in TRANSFER else PAIRS
    figure, (axis,) = canvas(height=0.45 * len(rows) + 1.2)
    for y, row in enumerate(rows):
        for i, (s, t) in enumerate(pairs):
            mine = frame[(frame.task == paper.task_name(row["test"])) & (frame.source == s) & (frame.target == t)]
            at = y + (i - (len(pairs) - 1) / 2) * 0.6 / len(pairs)
            theirs = row[LABEL[s] if n not in TRANSFER else f"{s[0].upper()}->{t[0].upper()}"]
            axis.plot([theirs], [at], marker="D", markersize=5, markerfacecolor="none", markeredgecolor=COLOUR[t],
                      linestyle="", zorder=3)  # above ours, which may lie at the same place
            axis.plot(mine.rel, [at] * len(mine), marker="|", markersize=5, color=COLOUR[t], alpha=0.5, linestyle="")
            axis.plot([mine.rel.mean()], [at], marker="x" if mine.weak.all() else "o", markersize=5, color=COLOUR[t],
                      linestyle="")
    axis.set_yticks(range(len(rows)), [r["test"] for r in rows])
    axis.invert_yaxis()
    axis.axvline(100, color="black", linewidth=0.8)
    axis.set(xlabel=f"relative performance, {OF}")
    for kind in results.kinds:
        axis.plot([], [], "o", color=COLOUR[kind], label=LABEL[kind] if n not in TRANSFER else f"to {LABEL[kind]}")
    if frame.weak.groupby([frame.task, frame.target]).all().any():
        axis.plot([], [], "x", color="black", label=r"ours, $E_\mathrm{ori}$ weak")
    axis.plot([], [], "D", markerfacecolor="none", markeredgecolor="black", label="the paper")
    figure.legend(*axis.get_legend_handles_labels(), fontsize=7, ncols=5, loc="outside upper center")
    return figure


def square(results: Results) -> Figure:
    """Draw source -> target of one task as a map of relative performance, with its means and the controls beside it.

    Both are in percent of E_ori; the controls include chance and the training solution where they were run."""
    frame, kinds = results.frame.assign(rel=relative(results.frame)), results.kinds
    figure, (left, right) = canvas(columns=2, height=2.9, width_ratios=(1, 1.5))
    values = [[frame[(frame.source == s) & (frame.target == t)].rel.mean() for t in kinds] for s in kinds]
    left.imshow(values, vmin=0, vmax=110, cmap="cividis")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            left.text(j, i, "–" if value != value else f"{value:.0f}", ha="center", va="center",
                      color="white" if not value > 60 else "black")
    left.set_xticks(range(len(kinds)), [LABEL[k] for k in kinds])
    left.set_yticks(range(len(kinds)), [LABEL[k] for k in kinds])
    left.set(xlabel="used for", ylabel="found with", title=OF)
    left.grid(False)
    beside = [c for c in ("train_solution", "scaled_solution", "mean_vector", "random", "chance", "untuned")
              if c in results.frame]
    bars = {"in the subspace": results.own, "transferred": results.moved} | {c: results.own for c in beside}
    for i, (name, rows) in enumerate(bars.items()):
        for k, kind in enumerate(kinds):
            mine = rows[rows.target == kind]
            mean, half = over_seeds(mine, relative(mine, name if name in mine else "sub"))
            right.barh(i + (k - (len(kinds) - 1) / 2) * 0.26, mean, 0.24, color=COLOUR[kind],
                       label=LABEL[kind] if i == 0 else None, xerr=half, error_kw={"linewidth": 0.7})
    right.set_yticks(range(len(bars)), [CONTROLS.get(b, b) for b in bars])
    right.invert_yaxis()
    right.axvline(100, color="black", linewidth=0.8)
    right.set(xlabel=OF, xlim=(0, None))
    figure.legend(*right.get_legend_handles_labels(), fontsize=7, ncols=len(kinds), loc="outside upper right")
    return figure


def controls(results: Results, n: int = 1) -> Figure:
    """Plot E_sub (or transfer) and every control per group of tasks, in percent of E_ori, with intervals over seeds."""
    groups = rows_of(results.shown(n), clear=False)
    names = {"sub": "transferred" if n in TRANSFER else "in the subspace", **results.controls}
    figure, axes = canvas(1, len(groups), height=2.8, sharey=True, sharex=True)
    for axis, (name, mine) in zip(axes, groups.items(), strict=True):
        for i, c in enumerate(names):
            mean, half = over_seeds(mine, relative(mine, c))
            colour = {"sub": "black", "random": "#CC79A7", **dict.fromkeys(ONE, "#56B4E9")}.get(c, "#999999")
            axis.barh(i, mean, 0.7, color=colour, xerr=half, error_kw={"linewidth": 0.8, "ecolor": "#444444"})
        axis.axvline(100, color="black", linewidth=0.8)
        axis.set(title=f"{name} ({mine.task.nunique()})", xlabel=OF, xlim=(0, 119))
    axes[0].set_yticks(range(len(names)), list(names.values()))
    axes[0].invert_yaxis()
    return figure


def lengths(frame: pd.DataFrame) -> Figure:
    """Plot the number of words of the input and of the first answer, per task.

    Shown are the median, the quartiles, and the 5th to 95th percentile; the grey changes with the category.
    frame: from `catalogue.measured`."""
    groups = list(frame.groupby(["category", "task"], sort=False))
    kinds = list(dict.fromkeys(category for (category, _), _ in groups))
    figure, axes = canvas(columns=2, height=0.17 * len(groups) + 1.0, sharey=True, width_ratios=(2, 1))
    for axis, column, label in zip(axes, ("words", "answer_words"), ("words of the input", "words of the answer"),
                                   strict=True):
        for y, ((category, _), mine) in enumerate(groups):
            low, first, middle, third, high = mine[column].quantile([0.05, 0.25, 0.5, 0.75, 0.95])
            colour = ("#333333", "#999999")[kinds.index(category) % 2]
            axis.plot([low, high], [y, y], color=colour, linewidth=1)
            axis.plot([first, third], [y, y], color=colour, linewidth=4, solid_capstyle="butt")
            axis.plot([middle], [y], marker="|", color="#CC79A7", markersize=6, markeredgewidth=1.5)
        axis.set(xlabel=label, xscale="log")
        low, high = axis.get_xlim()
        axis.set_xticks([n * 10 ** e for e in range(5) for n in (1, 2, 5) if low <= n * 10 ** e <= high], minor=False)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("")
    axes[0].set_yticks(range(len(groups)), [f"{task} ({category})" for (category, task), _ in groups], fontsize=7)
    axes[0].set_ylim(len(groups) - 0.3, -0.7)
    return figure


def label_shares(frame: pd.DataFrame) -> Figure:
    """Plot the share of every answer among the training rows of the tasks that answer in label words.

    frame: from `catalogue.measured`, one task or more."""
    names = [n for n in dict.fromkeys(frame.task) if tasks.get(n).labels]
    figure, (axis,) = canvas(height=0.2 * len(names) + 0.8)
    for y, name in enumerate(names):
        shares = 100 * frame[frame.task == name].answer.value_counts(normalize=True)
        left = 0.0
        order = [word for word in dict.fromkeys(tasks.get(name).labels) if word in shares]
        for i, word in enumerate(order):  # two greys: the words of one task need not mean those of another
            axis.barh(y, shares[word], 0.8, left=left, color=("#d9d9d9", "#efefef")[i % 2],
                      edgecolor="white", linewidth=0.5)
            if 0.75 * len(word) < shares[word]:  # a letter is about three quarters of a percent wide
                axis.text(left + shares[word] / 2, y, word, ha="center", va="center", fontsize=6)
            left += shares[word]
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.set(xlabel="% of the training rows", xlim=(0, 100), ylim=(len(names) - 0.4, -0.6))
    axis.grid(False)
    return figure
