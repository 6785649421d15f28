"""The performance landscape around the three subspace solutions (section 5.2.3, figure 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from unidelta.files import load_checkpoint, save_checkpoint
from unidelta.projections import KINDS
from unidelta.stages.decomposed import approximate, optimize, original
from unidelta.stages.maps import up_projection
from unidelta.stages.workbench import Run, compute, save, score_stack, stacks
from unidelta.store import Artifact


def plane(a: Tensor, p: Tensor, l: Tensor) -> tuple[Tensor, Tensor]:  # noqa: E741
    """Orthonormal u, v (y,) with u along I_P - I_A, and v along what is left of I_L - I_A (Gram-Schmidt).

    Raises ValueError where the three solutions lie on one line, so that there is no plane through them.
    """
    u = p - a
    v = (l - a) - ((l - a) @ u) / (u @ u).clamp_min(1e-30) * u
    if min(u.norm(), v.norm()) < 1e-6:
        raise ValueError("the three subspace solutions lie on one line: no plane goes through them")
    return u / u.norm(), v / v.norm()


def landscape(run: Run, train: Sequence[str], task: str, seeds: Sequence[int] = (0,), extent: float = 4.0, step: float = 0.4,
              rows: int = 100) -> dict[int, Artifact]:
    """Scores of the three deltas over I_A + alpha u + beta v, alpha and beta from -extent to extent: seed -> artifact.

    Tensors: `scores` (3, A, B) in the order adapter, lora, prefix, on the first `rows` test rows; `axis` (A,); `points` (3, 2), where the
    three solutions lie. A killed run goes on at the first row of the grid that is missing.
    """
    vectors, subspaces = optimize(run, train, [task], seeds=seeds), approximate(run, train, seeds)
    axis = torch.arange(-round(extent / step), round(extent / step) + 1) * step
    wanted = {(seed,): (f"{task}-s{seed}", run.config("landscape", task=task, seed=seed, extent=extent, step=step, rows=rows,
                                                     sources=[vectors[task, k, seed].id for k in KINDS])) for seed in seeds}

    def work(keys):
        for (seed,) in keys:
            solution = {k: vectors[task, k, seed].tensors()["I"].to(run.backbone.device) for k in KINDS}
            u, v = plane(*(solution[k] for k in ("adapter", "prefix", "lora")))
            some = run.data(task, seed).head(rows)
            folder = run.store.partial("landscape", *wanted[seed,])
            up = {k: up_projection(run, subspaces[seed], k, "trained") for k in KINDS}
            grid, first = torch.full((len(KINDS), len(axis), len(axis)), float("nan")), 0
            if (found := load_checkpoint(folder)) is not None:
                grid, first = found[0]["scores"], found[1]["row"]
            for i in range(first, len(axis)):
                points = solution["adapter"] + axis[i].to(u) * u + axis.to(u)[:, None] * v
                for n, kind in enumerate(KINDS):
                    delta, theta = run.delta(kind), run.start(kind) + points @ up[kind].T
                    for part in stacks(range(len(axis)), run.profile.stack):
                        grid[n, i, part] = torch.tensor(score_stack(run, delta, theta[part], [some] * len(part), "test"))
                save_checkpoint(folder, {"scores": grid}, {"row": i + 1})
            where = torch.stack([torch.stack([(solution[k] - solution["adapter"]) @ w for w in (u, v)]) for k in KINDS])
            save(run, "landscape", wanted[seed,], {"mean": grid.mean(), "max": grid.amax()}, {"scores": grid, "axis": axis, "points": where})

    found = compute(run, "landscape", wanted, work)
    return {seed: found[seed,] for seed in seeds}


@dataclass(frozen=True)
class Plane:
    """What figure 2 shows for one task: `relative` (3, A, B), percent of E_ori of adapter, lora, prefix; `axis` (A,); `points` (3, 2) in the same
    order; `train`, whose subspace it lies in."""

    train: str
    relative: Tensor
    axis: Tensor
    points: Tensor
    ids: list[str]

    def share(self, level: float = 80.0) -> dict[str, float]:
        """Percent of the plane where each delta alone, all three at once, and their mean reach `level` percent of E_ori."""
        above = self.relative >= level
        parts = {kind: above[i] for i, kind in enumerate(KINDS)} | {"all": above.all(0), "mean": self.relative.mean(0) >= level}
        return {name: 100 * float(part.float().mean()) for name, part in parts.items()}


def planes(run: Run, served: Sequence[tuple[Sequence[str], str]], seed: int, rows: int) -> dict[str, Plane]:
    """Task -> its plane, in the subspace of its training tasks. served: (training tasks, unseen task). Raises ValueError where E_ori is zero."""
    out = {}
    for train, task in served:
        artifact, own = landscape(run, train, task, [seed], rows=rows)[seed], original(run, [task], seeds=[seed])
        best = torch.tensor([float(own[task, k, seed].metrics["test"]) for k in KINDS])
        if not best.all():
            raise ValueError(f"E_ori of {task} is zero: nothing is relative to it")
        t = artifact.tensors()
        named = train[0] if len(train) == 1 else f"{len(train)} tasks"
        out[task] = Plane(named, 100 * t["scores"] / best[:, None, None], t["axis"], t["points"], [artifact.id, *(a.id for a in own.values())])
    return out


def to_frame(drawn: dict[str, Plane]) -> pd.DataFrame:
    """Planes as one long frame, to be archived: a row for every task, delta and point of the grid, and one, without `relative`, for every solution."""
    lines = []
    for task, plane in drawn.items():
        for i, kind in enumerate(KINDS):
            axis, where = plane.axis.tolist(), {"task": task, "train": plane.train, "delta": kind}
            lines += [where | {"alpha": a, "beta": b, "relative": float(plane.relative[i, x, y])} for x, a in enumerate(axis) for y, b in enumerate(axis)]
            lines.append(where | dict(zip(("alpha", "beta"), plane.points[i].tolist(), strict=True)))
    return pd.DataFrame(lines)


def from_frame(frame: pd.DataFrame, ids: Sequence[str]) -> dict[str, Plane]:
    """The planes of `to_frame`."""
    out = {}
    for task, mine in frame.groupby("task", sort=False):
        points, cells = mine[mine.relative.isna()].set_index("delta"), mine[mine.relative.notna()]
        axis = sorted(set(cells.alpha))
        grid = cells.sort_values(["alpha", "beta"]).groupby("delta").relative
        relative = torch.stack([torch.tensor(grid.get_group(k).to_numpy()).view(len(axis), -1) for k in KINDS])
        out[task] = Plane(mine.train.iloc[0], relative, torch.tensor(axis), torch.tensor(points.loc[list(KINDS), ["alpha", "beta"]].to_numpy()), list(ids))
    return out
