"""Figure 2: the plane through three solutions in percent of E_ori, as numbers, as pictures, and as it is archived."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import HTML
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch import Tensor

from unidelta.params import ParameterError
from unidelta.projections import KINDS
from unidelta.report.figures import COLOUR, OF, canvas
from unidelta.report.measures import LABEL, html, number, over_seeds
from unidelta.report.results import Results
from unidelta.stages import landscape, original
from unidelta.stages.workbench import Run

ROWS = 50  # test rows scored at every point of the archived planes


@dataclass(frozen=True)
class Plane:
    """What figure 2 shows for one task.

    `relative` (3, A, B) is the score of adapter, lora and prefix in percent of E_ori; `axis` (A,) holds the coordinates
    of the grid, `points` (3, 2) the three solutions in the same order of deltas. `train` names the training tasks whose
    subspace the plane lies in."""

    train: str
    relative: Tensor
    axis: Tensor
    points: Tensor
    ids: list[str]

    def share(self, level: float = 80.0) -> dict[str, float]:
        """Return the percentage of the plane that reaches `level` percent of E_ori.

        It is given for each delta alone, for all three at once (`all`) and for their mean (`mean`)."""
        above = self.relative >= level
        parts = dict(zip(KINDS, above, strict=True))
        parts |= {"all": above.all(0), "mean": self.relative.mean(0) >= level}
        return {name: 100 * float(part.float().mean()) for name, part in parts.items()}


def outside(drawn: dict[str, Plane]) -> str:
    """Tell which solutions lie outside the grid, so that a figure does not show them; "" if none does."""
    beyond = {task: [LABEL[k] for k, point in zip(KINDS, plane.points, strict=True)
                     if point.abs().max() > plane.axis.abs().max()] for task, plane in drawn.items()}
    told = [f"{' and '.join(kinds)} on {task}" for task, kinds in beyond.items() if kinds]
    return f" (outside the grid: {', '.join(told)})" if told else ""


def drawn(run: Run, served: Sequence[tuple[Sequence[str], str]], seed: int, rows: int) -> dict[str, Plane]:
    """Return the plane of each task, in the subspace of its training tasks. served: (training tasks, unseen task).

    Raises ParameterError if there is one to draw and y is below 2, or if an E_ori is zero."""
    if served and run.profile.y < 2:
        raise ParameterError(f"y={run.profile.y} is not allowed for a landscape: "
                             "a plane needs a subspace of at least two dimensions")
    out = {}
    for train, task in served:
        own = original(run, [task], seeds=[seed])
        best = torch.tensor([float(own[task, k, seed].metrics["test"]) for k in KINDS])
        if not best.all():
            raise ParameterError(f"E_ori of {task} is zero, so nothing can be given relative to it: "
                                 "allow more steps, or choose another task")
        artifact = landscape(run, train, task, [seed], rows=rows)[seed]
        t = artifact.tensors()
        named = train[0] if len(train) == 1 else f"{len(train)} tasks"
        out[task] = Plane(named, 100 * t["scores"] / best[:, None, None], t["axis"], t["points"],
                          [artifact.id, *(a.id for a in own.values())])
    return out


def shares(drawn: dict[int, dict[str, Plane]]) -> pd.DataFrame:
    """Return one row for each task and seed with the shares of its plane (`Plane.share`). drawn: planes by seed."""
    return pd.DataFrame([{"task": task, "train": plane.train, "seed": seed, **plane.share()}
                         for seed, planes in drawn.items() for task, plane in planes.items()])


def common(frame: pd.DataFrame) -> pd.Series:
    """Return how much of the smallest of the deltas' own regions is common to all three, in percent.

    frame: as of `shares`. Undefined for a plane on which one delta has no region."""
    smallest = frame[list(KINDS)].min(axis=1)
    return (100 * frame["all"] / smallest).where(smallest > 0)


def table(frame: pd.DataFrame) -> HTML:
    """Return the shares of `shares` task by task, and over tasks, with half the 95 % t-interval over seeds.

    Planes on which one delta has no region count in the shares, and not in what is common. That has no half interval
    where it leaves a seed without a plane."""
    names = {**{k: f"{LABEL[k]} alone" for k in KINDS}, "all": "all three at once", "mean": "mean of the three"}

    def line(name, mine):
        part = common(mine)
        middle, half = over_seeds(mine, part)
        every = part.groupby(mine.seed).count().all()
        return {"unseen task": name, **{text: number(*over_seeds(mine, mine[share])) for share, text in names.items()},
                "common, in % of the smallest": number(middle, half if every else math.nan),
                "planes that this counts": f"{part.notna().sum()} of {len(part)}"}
    return html([line(task, mine) for task, mine in frame.groupby("task", sort=False)]
                + [line("<b>Avg.</b>", frame)])


def apart(tasks: Sequence[str], archived: Results | None) -> None:
    """Check that no task is both drawn and shown from the archive: a page has one panel for each task.

    tasks: those to be drawn. Raises ValueError for one that is among the archived planes."""
    if twice := set(tasks) & set(archived.frame.task if archived else ()):
        raise ValueError(f"the plane of {min(twice)} is shown from the archive: add `-p archive none` to draw it anew")


def to_frame(drawn: dict[str, Plane]) -> pd.DataFrame:
    """Return planes as one long frame, to be archived.

    It has a row for every task, delta and point of the grid, and one, without `relative`, for every solution."""
    lines = []
    for task, plane in drawn.items():
        for i, kind in enumerate(KINDS):
            axis = plane.axis.tolist()
            where = {"task": task, "train": plane.train, "delta": kind}
            lines += [where | {"alpha": a, "beta": b, "relative": float(plane.relative[i, x, y])}
                      for x, a in enumerate(axis) for y, b in enumerate(axis)]
            lines.append(where | dict(zip(("alpha", "beta"), plane.points[i].tolist(), strict=True)))
    return pd.DataFrame(lines)


def from_frame(frame: pd.DataFrame, ids: Sequence[str]) -> dict[str, Plane]:
    """Return the planes that `to_frame` was given. ids: the artifacts behind them."""
    out = {}
    for task, mine in frame.groupby("task", sort=False):
        points = mine[mine.relative.isna()].set_index("delta")
        cells = mine[mine.relative.notna()]
        axis = sorted(set(cells.alpha))
        grid = cells.sort_values(["alpha", "beta"]).groupby("delta").relative
        relative = torch.stack([torch.tensor(grid.get_group(k).to_numpy()).view(len(axis), -1) for k in KINDS])
        out[task] = Plane(mine.train.iloc[0], relative, torch.tensor(axis),
                          torch.tensor(points.loc[list(KINDS), ["alpha", "beta"]].to_numpy()), list(ids))
    return out


def figure(planes: dict[str, Plane]) -> Figure:
    """Draw figure 2: mean relative performance of the three deltas over the plane through their solutions.

    There is one panel per task; the contour line is at 80 %."""
    drawing, axes = canvas(1, len(planes), height=2.9, sharey=True)
    for axis, (task, plane) in zip(axes, planes.items(), strict=True):
        mean, at = plane.relative.mean(0).T.numpy(), plane.axis.numpy()
        image = axis.pcolormesh(at, at, mean, vmin=0, vmax=100, cmap="cividis", shading="nearest")
        axis.set(xlim=axis.get_xlim(), ylim=axis.get_ylim())  # a solution outside the grid would stretch the panel
        if float(mean.min()) < 80 <= float(mean.max()):
            axis.contour(at, at, mean, levels=[80], colors="white", linewidths=0.8)
        for kind, (x, y) in zip(KINDS, plane.points.tolist(), strict=True):
            axis.plot(x, y, "o", color=COLOUR[kind], markeredgecolor="white", markersize=6, label=LABEL[kind])
        axis.set(title=f"{task} (from {plane.train})", xlabel="α", aspect="equal", xticks=at[::len(at) // 4])
        axis.grid(False)
    axes[0].set(ylabel="β", yticks=at[::len(at) // 4])
    drawing.colorbar(image, ax=axes, label=OF, shrink=0.8, extend="max")
    drawing.legend(*axes[0].get_legend_handles_labels(), fontsize=7, ncols=3, loc="outside lower center")
    return drawing


def to_touch(plane: Plane) -> HTML:
    """Draw one plane as a map to be read with the mouse; it needs no scripts.

    Every cell tells its place and the three deltas' relative performance. The dots are the three solutions."""
    axis, mean, colours = plane.axis.tolist(), plane.relative.mean(0), plt.get_cmap("cividis")
    cell, left = 16, 34  # pixels
    size, step = len(axis) * cell, axis[1] - axis[0]

    def at(x: float) -> float:  # from the left, or from below
        return ((x - axis[0]) / step + 0.5) * cell

    def dot(kind: str, x: float, y: float) -> str:
        return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{COLOUR[kind]}" stroke="white">'
                f"<title>{LABEL[kind]}</title></circle>")

    parts = []
    for i, x in enumerate(axis):
        for j, y in enumerate(axis):
            each = ", ".join(f"{LABEL[k]} {plane.relative[m, i, j]:.0f} %" for m, k in enumerate(KINDS))
            colour = to_hex(colours(min(float(mean[i, j]) / 100, 1.0)))
            parts.append(f'<rect x="{left + i * cell}" y="{size - (j + 1) * cell}" '
                         f'width="{cell}" height="{cell}" fill="{colour}">'
                         f"<title>α = {x:.1f}, β = {y:.1f}: mean {mean[i, j]:.0f} % of E_ori ({each})</title></rect>")
    for kind, (x, y) in zip(KINDS, plane.points.tolist(), strict=True):
        if max(abs(x), abs(y)) <= abs(axis[0]):
            parts.append(dot(kind, left + at(x), size - at(y)))
    text = 'font-size="11" fill="currentColor"'
    for tick in axis[::max(len(axis) // 4, 1)]:
        parts.append(f'<text x="{left + at(tick):.1f}" y="{size + 14}" text-anchor="middle" {text}>{tick:g}</text>'
                     f'<text x="{left - 6}" y="{size - at(tick) + 4:.1f}" text-anchor="end" {text}>{tick:g}</text>')
    parts.append(f'<text x="{left + size / 2}" y="{size + 28}" text-anchor="middle" {text}>α</text>'
                 f'<text x="4" y="{size / 2}" {text}>β</text>')
    for i in range(5):
        parts.append(f'<path d="M{left + size + 12} {size - (i + 1) * size / 5}h14v{size / 5}h-14z" '
                     f'fill="{to_hex(colours(i / 4))}"/>'
                     f'<text x="{left + size + 31}" y="{size - (i + 0.5) * size / 5 + 4}" {text}>{25 * i} %</text>')
    for i, kind in enumerate(KINDS):
        parts.append(dot(kind, left + 6 + 110 * i, size + 44)
                     + f'<text x="{left + 16 + 110 * i}" y="{size + 48}" {text}>{LABEL[kind]}</text>')
    width, height = left + size + 70, size + 54
    return HTML(f'<svg viewBox="0 0 {width} {height}" width="{width}" style="max-width: 100%" role="img" '
                'aria-label="relative performance over the plane; the table above says how much of it is high">'
                f'{"".join(parts)}</svg>')


def overlap(planes: dict[str, Plane]) -> HTML:
    """Return the share of each plane that reaches 80 percent of E_ori.

    It is given for each delta alone, for all three at the same point, and for their mean."""
    lines = []
    for task, plane in planes.items():
        share = plane.share()
        lines.append({"unseen task": f"{task}<br><small>subspace of {plane.train}</small>",
                      **{f"{LABEL[k]} alone": number(share[k]) for k in KINDS},
                      "all three at once": number(share["all"]), "mean of the three": number(share["mean"])})
    return html(lines)
