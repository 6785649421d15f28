"""The Walsh-Hadamard transform against a copy of its memory, a dense product, and the released code's formulation."""

import torch
from torch import Tensor

from unidelta.fastfood import hadamard

DENSE_UP_TO = 2**12  # above it, the matrix alone would take a quarter of a gibibyte or more


def butterflies(x: Tensor) -> Tensor:
    """Return H x for x (P,), in the textbook formulation, which the released code uses too.

    A Python loop over the log2(P) levels adds and subtracts halves and stacks the two.
    """
    half, size = 1, len(x)
    while half < size:
        x = x.view(-1, 2, half)
        x = torch.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], dim=1).reshape(-1)
        half *= 2
    return x


def transforms(size: int, device: str = "cpu", dense: bool | None = None) -> dict:
    """Return variants on one vector of `size` random numbers; by default the dense product only up to DENSE_UP_TO."""
    x = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(device)
    out = {"released formulation": lambda: (butterflies(x),), "ours": lambda: (hadamard(x),)}
    if size <= DENSE_UP_TO if dense is None else dense:
        h = hadamard(torch.eye(size, device=device))
        out["dense product"] = lambda: (h @ x,)
    return out


def copy(size: int, device: str = "cpu") -> dict:
    """Return the copy of x to a tensor that is there already: a variant apart, because its result is another one."""
    x = torch.randn(size, device=device)
    y = torch.empty_like(x)
    return {"memory copy": lambda: (y.copy_(x),)}
