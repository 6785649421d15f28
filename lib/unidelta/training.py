"""The one training loop: a stack of K independent problems, each with its own loss, dev score and best checkpoint."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from torch import Tensor

from unidelta.files import load_checkpoint, save_checkpoint
from unidelta.optim import Adafactor
from unidelta.params import ParameterError

logger = logging.getLogger("unidelta")


@dataclass
class Fit:
    """The results of a training run.

    `best` has one (K, ...) tensor per optimised tensor, `best_score` and `best_step` a number for each problem. `kept`
    is the first tensor at every validation, (C, K, ...), with `kept_scores` (C, K). `log` has one dict per validation
    (None where a problem was dropped). `stack` has the names of what was trained together, if they were given.
    """

    best: list[Tensor]
    best_score: list[float]
    best_step: list[int]
    kept: Tensor
    kept_scores: Tensor
    log: list[dict]
    stack: Sequence[str] = ()


@dataclass
class _State:
    """How far the loop is, and what it knows of each of the K problems; in a checkpoint, beside the tensors."""

    alive: list[int]  # the problems still in the stack, as indices into K
    best_score: list[float]
    best_step: list[int]
    step: int = 0
    kept_scores: list[list[float]] = field(default_factory=list)
    log: list[dict] = field(default_factory=list)


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

    Raises ParameterError at a validation before which a loss that is not settled was not finite, unless `keep`: of
    several learning rates one may be too high.
    """
    k, device = len(optimizer.tensors[0]), optimizer.tensors[0].device
    patience = patience or math.inf  # 0: wait for ever

    best = [t.detach().clone() for t in optimizer.tensors]
    kept: list[Tensor] = []
    state = _State(alive=list(range(k)), best_score=[-1.0] * k, best_step=[0] * k)

    def waited(i, step):  # validations without gain
        counts = floor is None or state.best_score[i] > floor[i]
        return (step - state.best_step[i]) / every if counts else 0

    def settled(i, step):
        return not keep and (state.best_score[i] >= 1.0 or waited(i, step) >= patience)

    def go_on(optimizer, places, problems):  # with these problems alone, which are at `places` of the present stack
        tensors = [t.detach()[places].clone().requires_grad_() for t in optimizer.tensors]
        drop(problems, tensors)
        return optimizer.select(torch.tensor(places), tensors)

    saved, resumed = _resumable(folder, best, shrinks=drop is not None)
    if resumed:
        state = resumed
        if len(state.alive) < k:
            optimizer = go_on(optimizer, state.alive, state.alive)
        _restore(saved, optimizer, best)
        if keep:
            kept = list(saved["kept"].to(device))

    start, began = state.step, time.monotonic()
    recent = torch.zeros(len(state.alive), device=device)  # the losses since the last validation, summed
    for step in range(start, steps):
        stay = [j for j, i in enumerate(state.alive) if not settled(i, step)]
        going = [state.alive[j] for j in stay]
        if not stay:
            break
        if drop is not None and len(stay) < len(state.alive):
            state.alive = going
            optimizer = go_on(optimizer, stay, state.alive)
            recent = torch.zeros(len(stay), device=device)

        each = loss(step)
        each.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        recent += each.detach()

        state.step = step + 1
        if state.step % every and state.step != steps:
            continue
        mean_loss = dict(zip(state.alive, (recent / (step % every + 1)).tolist(), strict=True))
        if not keep and not all(math.isfinite(mean_loss[i]) for i in going):
            raise ParameterError(f"{label}: the loss is not finite at step {state.step}; "
                                 "allowed: a lower learning rate of this stage")
        with torch.no_grad():
            dev = score()
            for j, i in enumerate(state.alive):
                if dev[j] > state.best_score[i] and waited(i, state.step) <= patience:
                    state.best_score[i], state.best_step[i] = dev[j], state.step
                    for b, t in zip(best, optimizer.tensors, strict=True):
                        b[i] = t[j]
        if keep:
            kept.append(optimizer.tensors[0].detach().clone())
            state.kept_scores.append(list(dev))

        now = dict(zip(state.alive, dev, strict=True))
        recent.zero_()
        line = {"step": state.step, "loss": [mean_loss.get(i) for i in range(k)], "dev": [now.get(i) for i in range(k)]}
        if note:
            line |= note()
        state.log.append(line)
        rate = (state.step - start) / (time.monotonic() - began)
        logger.info("%s step %d/%d, %d of %d to go, loss %.3f dev %.3f | %.1f steps/s, %.1f min left at most",
                    label, state.step, steps, len(state.alive), k, sum(mean_loss.values()) / len(state.alive),
                    sum(dev) / len(state.alive), rate, (steps - state.step) / rate / 60)
        if folder is not None:
            _checkpoint(folder, optimizer, best, kept, state)

    all_kept = torch.stack(kept) if keep else torch.empty(0)
    return Fit(best, state.best_score, state.best_step, all_kept, torch.tensor(state.kept_scores), state.log)


def _checkpoint(folder: Path, optimizer: Adafactor, best: Sequence[Tensor], kept: Sequence[Tensor],
                state: _State) -> None:
    """Write all that `fit` needs to go on from here."""
    tensors = {f"now.{i}": t for i, t in enumerate(optimizer.tensors)}
    tensors |= {f"best.{i}": b for i, b in enumerate(best)}
    tensors |= {f"opt.{n}": t for n, t in optimizer.state_dict().items()}
    if kept:
        tensors["kept"] = torch.stack(list(kept))
    save_checkpoint(folder, tensors, asdict(state))


def _resumable(folder: Path | None, best: Sequence[Tensor],
               shrinks: bool) -> tuple[dict[str, Tensor], _State | None]:
    """The tensors and state of a checkpoint of this run; ({}, None), with a warning, if it is one of something else.

    shrinks: whether this run's stack may. One that may not cannot go on from a checkpoint of a stack that has shrunk.
    """
    found = load_checkpoint(folder) if folder is not None else None
    if not found:
        return {}, None
    saved, state = found
    if (state.keys() == {f.name for f in fields(_State)} and (shrinks or len(state["alive"]) == len(best[0]))
            and all(f"best.{i}" in saved and saved[f"best.{i}"].shape == b.shape for i, b in enumerate(best))):
        return saved, _State(**state)
    logger.warning("the checkpoint in %s is of another version, size or kind of stack: starting from the beginning",
                   folder)
    return {}, None


def _restore(saved: dict[str, Tensor], optimizer: Adafactor, best: Sequence[Tensor]) -> None:
    """Fill the optimiser, its tensors and `best` from a checkpoint's tensors."""
    optimizer.load_state_dict({n.removeprefix("opt."): t for n, t in saved.items() if n.startswith("opt.")})
    with torch.no_grad():
        for i, (tensor, b) in enumerate(zip(optimizer.tensors, best, strict=True)):
            tensor.copy_(saved[f"now.{i}"])
            b.copy_(saved[f"best.{i}"])
