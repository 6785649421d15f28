"""A training step's pass through the network with its solutions: as it is, or compiled (the profile's `compiled`).

transformers runs a T5 layer by layer in Python, hooks included, and every small operation is a kernel of its own.
`captured` traces the same pass once (torch.export), leaves the lengths of inputs and answers open, and has the forward
and backward passes fused (torch.compile). Compiling takes tens of seconds for every composition of a stack, so it pays
in long trainings only. `benchmarks/suite.py compiling` measures what it takes and what it saves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache

import torch
from torch import Tensor, nn

from unidelta.deltas import applied
from unidelta.evaluation import losses

# In tokens; a graph with open lengths is not valid for fewer. (An answer has at least a sentinel, a token and an end.)
SHORTEST = 3


def stacked(model: nn.Module, entries: Sequence[tuple], batch: dict[str, Tensor]) -> Tensor:
    """L_task of every solution of `entries` on its own rows of the batch, (sum of all K,).

    entries: [(delta, theta (K, N)), ...] as for `applied`.
    """
    with applied(model, entries):
        return losses(model, batch, sum(len(theta) for _, theta in entries))


def captured(model: nn.Module, entries: Sequence[tuple], batch: dict[str, Tensor]) -> Tensor:
    """What `stacked` returns, gradients included and up to rounding, from a compiled graph.

    Stacks with other deltas, another K or another number of rows have a graph of their own; other lengths do not.
    """
    if min(tokens.shape[1] for tokens in batch.values()) < SHORTEST:
        return stacked(model, entries, batch)
    stack = tuple((delta, len(theta), theta.dtype) for delta, theta in entries)
    return _graph(model, stack, len(batch["labels"]))([theta for _, theta in entries], batch)


@cache
def check(device: torch.device) -> None:
    """Check that torch can compile here: compile one sum, once in a process.

    Raises ValueError if that fails. On a CPU, compiling needs a C++ compiler and no blank in the path of torch.
    """
    try:
        torch.compile(lambda x: x + 1)(torch.ones(2, device=device))
    except RuntimeError as error:
        told = " ".join(str(error).split())
        raise ValueError(f"compiled=True is not possible here ({told:.80}): "
                         "it needs a C++ compiler and a path to torch without blanks; allowed: False") from None


@lru_cache(maxsize=16)
def _graph(model: nn.Module, stack: tuple, rows: int) -> Callable:
    """The compiled pass of a stack of (delta, K, dtype of theta)."""
    thetas = [torch.zeros(k, delta.numel, dtype=dtype, device=model.device, requires_grad=True)
              for delta, k, dtype in stack]
    # The two lengths must differ, or the trace would take them for one.
    batch = {name: torch.ones(rows, length, dtype=torch.long, device=model.device)
             for name, length in (("input_ids", 2 * SHORTEST), ("attention_mask", 2 * SHORTEST), ("labels", SHORTEST))}
    lengths = {name: {1: torch.export.Dim.AUTO} for name in batch}
    traced = torch.export.export(_Pass(model, [delta for delta, *_ in stack]), (thetas, batch),
                                 dynamic_shapes=([None] * len(stack), lengths), strict=False)
    return torch.compile(traced.module(), dynamic=True)


class _Pass(nn.Module):
    def __init__(self, model: nn.Module, made: Sequence):
        super().__init__()
        self.model, self.made = model, made

    def forward(self, thetas: list[Tensor], batch: dict[str, Tensor]) -> Tensor:
        return stacked(self.model, list(zip(self.made, thetas, strict=True)), batch)
