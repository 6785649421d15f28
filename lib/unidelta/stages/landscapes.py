"""The performance landscape around the three subspace solutions (section 5.2.3, figure 2)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from unidelta import checks
from unidelta.files import load_checkpoint, save_checkpoint
from unidelta.params import ParameterError
from unidelta.projections import KINDS
from unidelta.stages.approximation import approximate
from unidelta.stages.maps import up_projection
from unidelta.stages.optimization import optimize
from unidelta.stages.scoring import score_stack
from unidelta.stages.workbench import Run, compute, progress, save, stacks
from unidelta.store import Artifact


def plane(a: Tensor, p: Tensor, l: Tensor) -> tuple[Tensor, Tensor]:  # noqa: E741
    """Orthonormal u, v (y,): u along I_P - I_A, and v along what is left of I_L - I_A (Gram-Schmidt).

    a, p, l: I_A, I_P and I_L, each (y,). Raises ParameterError if they lie on one line and so span no plane.
    """
    u = p - a
    v = (l - a) - ((l - a) @ u) / (u @ u).clamp_min(1e-30) * u
    if min(u.norm(), v.norm()) < 1e-6:
        raise ParameterError("the three subspace solutions lie on one line: no plane goes through them; "
                             "allowed: another seed or task, or more dimensions")
    return u / u.norm(), v / v.norm()


def landscape(run: Run, train: Sequence[str], task: str, seeds: Sequence[int] = (0,), extent: float = 4.0,
              step: float = 0.4, rows: int = 100) -> dict[int, Artifact]:
    """Scores of the three deltas over I_A + alpha u + beta v, alpha and beta from -extent to extent: seed -> artifact.

    Tensors: `scores` (3, A, B) in the order adapter, lora, prefix, on the first `rows` test rows; `axis` (A,); `points`
    (3, 2), where the three solutions lie. A killed run goes on at the first row of the grid that is missing. Raises
    ValueError if `task` is not one name, if `step` is not above zero, if `extent` is not a multiple of it, or if `rows`
    is not a whole number from 1.
    """
    if not isinstance(task, str):
        raise ValueError(f"task is {task!r}; allowed: the name of one task")
    numbers = all(type(n) in (int, float) for n in (extent, step))
    if not (numbers and 0 < step <= extent < math.inf and math.isclose(round(extent / step) * step, extent)):
        raise ValueError(f"extent={extent!r} and step={step!r} are not allowed: "
                         "step must be above zero and extent a whole number of steps")
    checks.whole("rows", rows)
    vectors = optimize(run, train, [task], seeds=seeds)
    subspaces = approximate(run, train, seeds)
    axis = torch.arange(-round(extent / step), round(extent / step) + 1) * step
    wanted = {}
    for seed in seeds:
        config = run.config("landscape", task=task, seed=seed, extent=float(extent), step=float(step), rows=rows,
                            sources=[vectors[task, k, seed].id for k in KINDS])
        wanted[seed,] = (f"{task}-s{seed}", config)

    def work(keys):
        for (seed,) in keys:
            solution = {k: vectors[task, k, seed].tensors()["I"].to(run.backbone.device) for k in KINDS}
            u, v = plane(solution["adapter"], solution["prefix"], solution["lora"])
            some = run.data(task, seed).head(rows)
            folder = run.store.partial("landscape", *wanted[seed,])
            up = {k: up_projection(run, subspaces[seed], k, "trained") for k in KINDS}
            grid = torch.full((len(KINDS), len(axis), len(axis)), float("nan"))
            first = 0
            if saved := load_checkpoint(folder):
                tensors, state = saved
                grid, first = tensors["scores"], state["row"]
            for i in progress(f"landscape {task}-s{seed} row", range(first, len(axis))):
                points = solution["adapter"] + axis[i].to(u) * u + axis.to(u)[:, None] * v
                for n, kind in enumerate(KINDS):
                    delta = run.delta(kind)
                    theta = run.start(kind) + points @ up[kind].T
                    for part in stacks(range(len(axis)), run.profile.stack):
                        scores = score_stack(run, delta, theta[part], [some] * len(part), "test")
                        grid[n, i, part] = torch.tensor(scores)
                save_checkpoint(folder, {"scores": grid}, {"row": i + 1})
            aside = {k: solution[k] - solution["adapter"] for k in KINDS}
            where = torch.stack([torch.stack([aside[k] @ u, aside[k] @ v]) for k in KINDS])
            save(run, "landscape", wanted[seed,], {"mean": grid.mean(), "max": grid.amax()},
                 {"scores": grid, "axis": axis, "points": where})

    found = compute(run, "landscape", wanted, work)
    return {seed: found[seed,] for seed in seeds}
