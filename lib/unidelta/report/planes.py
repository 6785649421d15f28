"""Figure 2 as numbers: the plane through three solutions in percent of E_ori, its high share, and its archived form."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from IPython.display import HTML
from torch import Tensor

from unidelta.params import ParameterError
from unidelta.projections import KINDS
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

    Planes on which one delta has no region count in the shares, and not in what is common."""
    names = {**{k: f"{LABEL[k]} alone" for k in KINDS}, "all": "all three at once", "mean": "mean of the three"}

    def line(name, mine):
        part = common(mine)
        return {"unseen task": name, **{text: number(*over_seeds(mine, mine[share])) for share, text in names.items()},
                "common, in % of the smallest": number(*over_seeds(mine, part)),
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
