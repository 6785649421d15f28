"""The one training loop: a stack of K independent problems, each with its own loss, dev score and best checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unidelta.optim import Adafactor
from unidelta.store import load_checkpoint, save_checkpoint

logger = logging.getLogger("unidelta")


@dataclass
class Fit:
    """What a run leaves: `best`, one (K, ...) tensor per optimised tensor, with `best_score` and `best_step` of each problem; `kept`,
    the first tensor at every validation, (C, K, ...), with `kept_scores` (C, K); `log`, one dict per validation."""

    best: list[Tensor]
    best_score: list[float]
    best_step: list[int]
    kept: Tensor
    kept_scores: Tensor
    log: list[dict]


def fit(
    optimizer: Adafactor,
    loss: Callable[[int], Tensor],
    score: Callable[[], list[float]],
    *,
    steps: int,
    every: int,
    keep: bool = False,
    patience: int = 0,
    folder: Path | None = None,
    label: str = "",
) -> Fit:
    """Minimise `loss(step)` -> (K,) over `optimizer.tensors`, validate with `score()` -> K numbers every `every` steps.

    The losses are summed, so no problem sees another's gradient. A problem's best checkpoint is the first with its highest dev score.
    patience: validations without gain after which a problem's best is final (0: never); the loop ends when all are, or when no dev
    score can rise above 1. keep: also keep the first tensor at every validation (then nothing ends early). folder: where to leave a
    checkpoint at every validation and to resume from.
    """
    tensors, k = optimizer.tensors, len(optimizer.tensors[0])
    best, best_score, best_step = [t.detach().clone() for t in tensors], [-1.0] * k, [0] * k
    kept, kept_scores, log, start = [], [], [], 0
    if folder is not None and (found := load_checkpoint(folder)) is not None:
        saved, state = found
        optimizer.load_state_dict({n[4:]: t for n, t in saved.items() if n.startswith("opt.")})
        with torch.no_grad():
            for i, tensor in enumerate(tensors):
                tensor.copy_(saved[f"now.{i}"])
                best[i].copy_(saved[f"best.{i}"])
        kept, kept_scores = list(saved["kept"]) if keep else [], state["kept_scores"]
        best_score, best_step, log, start = state["best_score"], state["best_step"], state["log"], state["step"]
    began, ran, recent = time.monotonic(), start, torch.zeros(k, device=tensors[0].device)
    for step in range(start, steps):
        each = loss(step)
        each.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        recent += each.detach()
        if (step + 1) % every and step + 1 != steps:
            continue
        with torch.no_grad():
            dev = score()
            for i, value in enumerate(dev):
                stale = patience and step + 1 - best_step[i] > patience * every
                if value > best_score[i] and not stale:
                    best_score[i], best_step[i] = value, step + 1
                    for b, t in zip(best, tensors, strict=True):
                        b[i] = t[i]
        count = (step % every) + 1
        log.append({"step": step + 1, "loss": [x / count for x in recent.tolist()], "dev": list(dev)})
        recent.zero_()
        if keep:
            kept.append(tensors[0].detach().clone())
            kept_scores.append(list(dev))
        rate = (step + 1 - ran) / (time.monotonic() - began)
        logger.info("%s step %d/%d loss %.3f dev %.3f | %.1f steps/s, %.1f min left", label, step + 1, steps, sum(log[-1]["loss"]) / k,
                    sum(dev) / k, rate, (steps - step - 1) / rate / 60)
        if folder is not None:
            state = {"step": step + 1, "best_score": best_score, "best_step": best_step, "kept_scores": kept_scores, "log": log}
            now = {f"now.{i}": t.detach() for i, t in enumerate(tensors)} | {f"best.{i}": b for i, b in enumerate(best)}
            now |= {f"opt.{n}": t for n, t in optimizer.state_dict().items()} | ({"kept": torch.stack(kept)} if keep else {})
            save_checkpoint(folder, {n: t.contiguous() for n, t in now.items()}, state)
        final = [s >= 1.0 or bool(patience) and step + 1 - b >= patience * every for s, b in zip(best_score, best_step, strict=True)]
        if all(final) and not keep:
            break
    return Fit(best, best_score, best_step, torch.stack(kept) if keep else torch.empty(0), torch.tensor(kept_scores), log)
