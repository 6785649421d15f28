"""Losses and scores of whole stacks of solutions, whatever their kind; fine-tuned backbones take a pass each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor

from unidelta.data import TaskData, collate
from unidelta.evaluation import CELLS_AT_ONCE, losses, scores
from unidelta.stages.workbench import Run


def loss_stack(run: Run, delta, theta: Tensor, rows: Sequence[tuple]) -> Tensor:
    """L_task of each solution in theta (K, N) on its own piece of `rows`, (K,).

    All solutions share one forward pass; fine-tuned backbones take one each.
    """
    if delta.kind == "finetune":
        return torch.cat([losses(delta.tuned(run.backbone, one).model, collate([piece], run.backbone.device), 1)
                          for one, piece in zip(theta, rows, strict=True)])
    return run.losses([(delta, theta)], collate(rows, run.backbone.device))


def score_stack(run: Run, delta, theta: Tensor, datas: Sequence[TaskData], split: str) -> list[float]:
    """Score of each solution in theta (K, N) on its own task; neighbours with the same task are decoded together."""
    if delta.kind == "finetune":
        return [scores(delta.tuned(run.backbone, one), [], [mine], split)[0]
                for one, mine in zip(theta, datas, strict=True)]
    out = []
    for _, same in groupby(datas, lambda data: (data.task, len(getattr(data, split)))):
        some = list(same)
        out += scores(run.backbone, [(delta, theta[len(out):len(out) + len(some)])], some, split)
    return out


def score_mapped(run: Run, delta, to_offset: Callable[[Tensor], Tensor], vectors: Tensor, data: TaskData,
                 split: str) -> list[float]:
    """Scores on one task of theta_init + to_offset(vectors), vectors (K, ...).

    No more solutions are made at once than the longest row can be decoded with; whole backbones are made one by one.
    """
    start = run.start(delta.kind)
    longest = max(map(len, getattr(data, split).inputs))
    at_once = 1 if delta.kind == "finetune" else max(1, CELLS_AT_ONCE // (longest * run.backbone.config.d_model))
    found = []
    for part in vectors.split(at_once):
        found += score_stack(run, delta, start + to_offset(part), [data] * len(part), split)
    return found


def best_on_dev(run: Run, delta, theta: Tensor, data: TaskData) -> int:
    """Index of the solution in theta (K, N) that does best on dev."""
    dev = score_stack(run, delta, theta, [data] * len(theta), "dev") if len(theta) > 1 else [0.0]
    return dev.index(max(dev))


def score_best(run: Run, delta, theta: Tensor, data: TaskData) -> float:
    """Test score of the solution in theta (K, N) that does best on dev."""
    best = best_on_dev(run, delta, theta, data)
    return score_stack(run, delta, theta[best:best + 1], [data], "test")[0]


def score_training(run: Run, entries: Sequence[tuple], datas: Sequence[Sequence[TaskData]]) -> list[float]:
    """Dev score of each of S runs, the mean over methods and training tasks.

    entries: (delta, theta (S, T, N)) of each method. datas: for each run, its T training tasks.
    """
    # in the order of tasks, so that the runs of a task are decoded together
    flat = [mine[t].head(run.profile.validation_rows, "dev") for t in range(len(datas[0])) for mine in datas]
    each = torch.tensor([score_stack(run, delta, theta.transpose(0, 1).flatten(0, 1), flat, "dev")
                         for delta, theta in entries])
    return each.mean(0).view(-1, len(datas)).mean(0).tolist()
