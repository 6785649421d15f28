"""Which training task's rows a step of subspace training has, and the parts of its loss; used by both pipelines.

With one training task, all rows are that task's. With several, the rows of all are blended (appendix A.2): every draw
of a step has its own task, and hence its own solution, and all draws share one forward pass.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unidelta.data import TaskData, tasks_of_step
from unidelta.stages.workbench import Run


def several(run: Run, train: Sequence[str]) -> dict:
    """Further config that names a subspace: the order of rows, with several training tasks, and `validation_rows`.

    `validation_rows`, how many dev rows of each task are scored, is included only where the profile sets it.
    """
    config = {}
    if len(train) > 1:
        config["order"] = "blended"
    if run.profile.validation_rows:
        config["validation_rows"] = run.profile.validation_rows
    return config


def dealt(run: Run, datas: Sequence[Sequence[TaskData]], seeds: Sequence[int], step: int, draws: int,
          batch: int) -> tuple[Tensor, list[tuple]]:
    """The training task of every draw of a step in each run, (S, draws), and the rows of all S * draws of them.

    A draw has `batch` rows.
    """
    turns = [tasks_of_step(len(mine), seed, step, draws) for mine, seed in zip(datas, seeds, strict=True)]
    rows = []
    for mine, seed, turn in zip(datas, seeds, turns, strict=True):
        for t, own in turn:
            rows += run.rows([mine[t]], [seed], own, batch)
    return torch.tensor([[t for t, _ in turn] for turn in turns]), rows


def chosen(each: Tensor, turn: Tensor) -> Tensor:
    """Select the tasks of `turn` (S, draws) from `each` (S, T, ...), one entry per run and task: (S, draws, ...)."""
    return each[torch.arange(len(turn))[:, None], turn]


class Parts:
    """The parts of a loss, gathered between two validations: ten means, each over a tenth of the steps.

    With fewer than ten steps, there is one value for each step.
    """

    def __init__(self, every: int):
        self.every = every
        self.found, self.counts = {}, {}

    def add(self, step: int, values: dict[str, Tensor]) -> None:
        """Add the numbers of one step. values: name -> (S,)."""
        at = step % self.every * 10 // self.every
        self.counts[at] = self.counts.get(at, 0) + 1
        for name, value in values.items():
            means = self.found.setdefault(name, {})
            means[at] = means.get(at, 0.0) + value.detach()

    def pop(self) -> dict:
        """Return {"parts": name -> for each run its means, in order} and forget what was gathered."""
        found = {name: torch.stack([total / self.counts[at] for at, total in means.items()], 1).tolist()
                 for name, means in self.found.items()}
        self.found, self.counts = {}, {}
        return {"parts": found}
