"""Which training task's rows a step of a subspace's training holds, and what its loss is made of: shared by both pipelines.

With one training task every row is its own. With several, the rows of all are blended (appendix A.2): every draw of a step has a task, and
so a solution, of its own, and all draws are one forward pass.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unidelta.data import TaskData, tasks_of_step
from unidelta.stages.workbench import Run


def several(run: Run, train: Sequence[str]) -> dict:
    """What names a subspace of several training tasks beside the settings: the order of their rows, and how many dev rows are scored."""
    rows = run.profile.validation_rows
    return ({"order": "blended"} if len(train) > 1 else {}) | ({"validation_rows": rows} if rows else {})


def dealt(run: Run, datas: Sequence[Sequence[TaskData]], seeds: Sequence[int], step: int, draws: int, batch: int) -> tuple[Tensor, list[tuple]]:
    """Which training task every draw of a step has in each run, (S, draws), and the rows of all S * draws of them, `batch` each."""
    turns = [tasks_of_step(len(mine), seed, step, draws) for mine, seed in zip(datas, seeds, strict=True)]
    rows = [piece for mine, seed, turn in zip(datas, seeds, turns, strict=True) for t, own in turn for piece in run.rows([mine[t]], [seed], own, batch)]
    return torch.tensor([[t for t, _ in turn] for turn in turns]), rows


def chosen(each: Tensor, turn: Tensor) -> Tensor:
    """Of something for every run and training task, (S, T, ...), that of the tasks in `turn` (S, draws): (S, draws, ...)."""
    return each[torch.arange(len(turn))[:, None], turn]


class Parts:
    """What a loss is made of, gathered between two validations, in ten means of as many steps each (or, with fewer steps, one for each)."""

    def __init__(self, every: int):
        self.every, self.found, self.counts = every, {}, {}

    def add(self, step: int, values: dict[str, Tensor]) -> None:
        """values: name -> (S,) numbers of one step."""
        at = step % self.every * 10 // self.every
        self.counts[at] = self.counts.get(at, 0) + 1
        for name, value in values.items():
            means = self.found.setdefault(name, {})
            means[at] = means.get(at, 0.0) + value.detach()

    def pop(self) -> dict:
        """{"parts": name -> for each run its means, in order}; then there is nothing gathered."""
        found = {name: torch.stack([total / self.counts[at] for at, total in means.items()], 1).tolist() for name, means in self.found.items()}
        self.found, self.counts = {}, {}
        return {"parts": found}
