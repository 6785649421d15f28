"""The one training loop: a stack of K independent problems, each with its own loss, dev score and best checkpoint."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unidelta.files import load_checkpoint, save_checkpoint
from unidelta.optim import Adafactor

logger = logging.getLogger("unidelta")


@dataclass
class Fit:
    """The results of a training run.

    `best` has one (K, ...) tensor per optimised tensor, `best_score` and `best_step` a number for each problem. `kept`
    is the first tensor at every validation, (C, K, ...), with `kept_scores` (C, K). `log` has one dict per validation
    (None where a problem is settled).
    """

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
    floor: Sequence[float] | None = None,
    drop: Callable[[list[int], list[Tensor]], None] | None = None,
    note: Callable[[], dict] | None = None,
    folder: Path | None = None,
    label: str = "",
) -> Fit:
    """Minimise `loss(step)` -> (K,) over `optimizer.tensors`, and validate with `score()` -> K numbers.

    It validates every `every` steps and after the last one. The losses are summed, so no problem sees another's
    gradient. A problem's best checkpoint is the first with its highest dev score. A problem is settled once its score
    cannot rise (1.0), or after `patience` validations without gain (0: never); these count once its best score is above
    its `floor` (K numbers; None: from the start). The loop ends when all problems are settled.

    keep: also keep the first tensor at every validation (then nothing settles). drop: called whenever some problems
    have settled, with those that go on (indices into K) and their new tensors; from then on loss and score must answer
    for these alone. note: called at every validation for further entries of the log's line. folder: where to write a
    checkpoint at every validation, and to resume from. label: the name of the run in progress messages.
    """
    k, device = len(optimizer.tensors[0]), optimizer.tensors[0].device
    patience = patience or math.inf  # 0: wait for ever

    best = [t.detach().clone() for t in optimizer.tensors]
    kept = []
    found = load_checkpoint(folder) if folder is not None else None
    fresh = {"step": 0, "alive": list(range(k)), "best_score": [-1.0] * k, "best_step": [0] * k,
             "kept_scores": [], "log": []}
    saved, state = found or ({}, fresh)
    start = state["step"]
    alive = state["alive"]  # the problems still in the stack, as indices into K
    best_score, best_step = state["best_score"], state["best_step"]
    kept_scores, log = state["kept_scores"], state["log"]

    def waited(i, step):  # validations without gain
        counts = floor is None or best_score[i] > floor[i]
        return (step - best_step[i]) / every if counts else 0

    def settled(i, step):
        return not keep and (best_score[i] >= 1.0 or waited(i, step) >= patience)

    def go_on(optimizer, places, problems):  # with these problems alone, which are at `places` of the present stack
        tensors = [t.detach()[places].clone().requires_grad_() for t in optimizer.tensors]
        drop(problems, tensors)
        return optimizer.select(torch.tensor(places), tensors)

    if found:
        if len(alive) < k:
            optimizer = go_on(optimizer, alive, alive)
        optimizer.load_state_dict({n.removeprefix("opt."): t for n, t in saved.items() if n.startswith("opt.")})
        with torch.no_grad():
            for i, tensor in enumerate(optimizer.tensors):
                tensor.copy_(saved[f"now.{i}"])
                best[i].copy_(saved[f"best.{i}"])
        if keep:
            kept = list(saved["kept"].to(device))

    began = time.monotonic()
    recent = torch.zeros(len(alive), device=device)  # the losses since the last validation, summed
    for step in range(start, steps):
        stay = [j for j, i in enumerate(alive) if not settled(i, step)]
        if not stay:
            break
        if drop is not None and len(stay) < len(alive):
            alive = [alive[j] for j in stay]
            optimizer = go_on(optimizer, stay, alive)
            recent = torch.zeros(len(alive), device=device)

        each = loss(step)
        each.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        recent += each.detach()

        done = step + 1
        if done % every and done != steps:
            continue
        with torch.no_grad():
            dev = score()
            for j, i in enumerate(alive):
                if dev[j] > best_score[i] and waited(i, done) <= patience:
                    best_score[i], best_step[i] = dev[j], done
                    for b, t in zip(best, optimizer.tensors, strict=True):
                        b[i] = t[j]
        if keep:
            kept.append(optimizer.tensors[0].detach().clone())
            kept_scores.append(list(dev))

        mean_loss = dict(zip(alive, (recent / (step % every + 1)).tolist(), strict=True))
        now = dict(zip(alive, dev, strict=True))
        recent.zero_()
        line = {"step": done, "loss": [mean_loss.get(i) for i in range(k)], "dev": [now.get(i) for i in range(k)]}
        if note:
            line |= note()
        log.append(line)
        rate = (done - start) / (time.monotonic() - began)
        logger.info("%s step %d/%d, %d of %d to go, loss %.3f dev %.3f | %.1f steps/s, %.1f min left at most",
                    label, done, steps, len(alive), k, sum(mean_loss.values()) / len(alive), sum(dev) / len(alive),
                    rate, (steps - done) / rate / 60)

        if folder is not None:
            tensors = {f"now.{i}": t for i, t in enumerate(optimizer.tensors)}
            tensors |= {f"best.{i}": b for i, b in enumerate(best)}
            tensors |= {f"opt.{n}": t for n, t in optimizer.state_dict().items()}
            if keep:
                tensors["kept"] = torch.stack(kept)
            save_checkpoint(folder, tensors, {
                "step": done, "alive": alive, "best_score": best_score, "best_step": best_step,
                "kept_scores": kept_scores, "log": log})

    all_kept = torch.stack(kept) if keep else torch.empty(0)
    return Fit(best, best_score, best_step, all_kept, torch.tensor(kept_scores), log)
