"""Fastfood: the up-projection of full fine-tuning (section 5.3, appendix A.5), which would need N * y numbers if dense.

For a weight tensor of D numbers the offset is M I, up to a normaliser, with M = H G Pi H B (Le et al., 2013), cut to
its first D rows and first y columns. H is a Walsh-Hadamard matrix of size P, the smallest power of two that is at least
D and y. B is a diagonal of random signs and Pi a random permutation, both fixed by a seed. G is a diagonal that starts
from N(0, 1) and, unlike in the work the paper builds on, is trained. No matrix is ever formed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from unidelta import checks

VARIANTS = ("exact", "released")


def padded(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << max(n - 1, 0).bit_length()


@lru_cache(maxsize=32)
def _sylvester(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    from scipy.linalg import hadamard  # here, as most commands make no transform and need not wait for it
    return torch.from_numpy(hadamard(n)).to(device, dtype)


def _digits(levels: int) -> list[int]:
    """Bits of each digit of an index below 2^levels: as equal as possible, at most four, the first digits the largest.

    Equal digits cost the least: 16 16 2 is slower than 8 8 8. If all digits of a vector longer than 2^16 would have
    four bits, it gets one more digit: at that length a product with H_16 takes longer than one with H_8 and a part of
    another.
    """
    n = (levels + 3) // 4 if levels <= 16 else levels // 4 + 1
    return [levels // n + (i < levels % n) for i in range(n)]


def _transform(x: Tensor) -> Tensor:
    # H_P is the Kronecker product of small H_r, one for each digit of the index; the last digit comes first
    shape = x.shape
    done = 1
    for bits in _digits(shape[-1].bit_length() - 1):
        r = 1 << bits
        h = _sylvester(r, x.dtype, x.device)
        if done == 1:
            x = x.reshape(-1, r) @ h
        else:
            x = h @ x.reshape(-1, r, done)
        done *= r
    return x.reshape(shape)


class _Hadamard(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return _transform(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        back = _Hadamard.apply(grad, ctx.scale)  # H is its own transpose
        return back if ctx.scale == 1.0 else ctx.scale * back, None


def hadamard(x: Tensor, backward_scale: float = 1.0) -> Tensor:
    """H x along the last dimension, H the unnormalised Walsh-Hadamard matrix in natural order (scipy.linalg.hadamard).

    x is (..., P). The transform is a few matrix products with H_8 and H_16 instead of log2(P) passes. Its gradient is
    H too, times `backward_scale` (1: exact). Raises ValueError if P is not a power of two.
    """
    if x.shape[-1] != padded(x.shape[-1]):
        raise ValueError(f"the length must be a power of two, got {x.shape[-1]}")
    return _Hadamard.apply(x, backward_scale)


def sizes_of(numel: int, y: int) -> tuple[int, int]:
    """(P, r) for a tensor of D = numel: the smallest powers of two such that r holds I, and P the tensor and I."""
    r = padded(y)
    return max(padded(numel), r), r


def trained(numels: Iterable[int], y: int) -> int:
    """How many numbers G trains for weight tensors of these sizes: the sum of their P. The model itself has fewer.

    Raises ValueError unless `y` is a whole number from 1.
    """
    checks.whole("y", y)
    return sum(sizes_of(n, y)[0] for n in numels)


def draw(numel: int, y: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw G (P,) from N(0, 1), Pi (P,) with (Pi x)[i] = x[Pi[i]], and the first r signs of B (r,).

    I meets no other sign of B.
    """
    generator = torch.Generator().manual_seed(seed)
    p, r = sizes_of(numel, y)
    g = torch.randn(p, generator=generator)
    pi = torch.randperm(p, generator=generator)
    b = torch.randint(0, 2, (r,), generator=generator) * 2.0 - 1.0
    return g, pi, b


@dataclass
class Fastfood:
    """Proj_up of fine-tuning, for S runs and weight tensors of sizes `numels`; only G (S, sum of P) is trained.

    Tensors with the same P are processed together: G holds them in ascending order of P, and `residue` and `sign` hold
    them by P. The first H needs no transform of length P: at most r numbers of I are not zero, so H B I repeats with
    period r, and Pi picks from it by its residues modulo r.
    """

    numels: tuple[int, ...]
    y: int
    variant: str
    G: Tensor
    residue: dict[int, Tensor]  # P -> (S, n, P), int16, or int32 where y needs it
    sign: dict[int, Tensor]     # P -> (S, n, r)
    frozen: dict[int, Tensor]   # P -> (S, n, 1), sum of the squares of the initial G

    @classmethod
    def start(cls, numels: Sequence[int], y: int, seeds: Sequence[int], variant: str = "exact",
              device: torch.device | str = "cpu") -> Fastfood:
        """Draw random projections, one run per seed. A seed gives the same numbers whatever its run is stacked with.

        variant: `exact`, or `released` for the authors' code. There the gradient of each transform is scaled by
        1/sqrt(P) (I's by 1/P in all, so that large tensors count less), and the normaliser keeps the initial G, so that
        G's length is free. Raises ValueError if `variant` is neither, if `numels` is not a list of whole numbers from
        1, at least one, if `y` is not a whole number from 1, or for seeds that are not a list of whole numbers.
        """
        checks.some("numels", numels)
        for n in numels:
            checks.whole("a size", n)
        checks.whole("y", y)
        checks.seeds(seeds)
        checks.known(variant, VARIANTS, "unknown Fastfood variant")
        r = padded(y)
        dtype = torch.int16 if r <= 2**15 else torch.int32
        drawn = []  # for each seed, and there for each tensor: G, the residues, and the signs
        for seed in seeds:
            run = [draw(n, y, 1_000_003 * seed + i) for i, n in enumerate(numels)]
            drawn.append([(g, (pi % r).to(dtype), b) for g, pi, b in run])
        groups = cls._groups(numels, y)

        def gather(part: int) -> dict[int, Tensor]:  # P -> (S, n, ...)
            return {p: torch.stack([torch.stack([run[i][part] for i in which]) for run in drawn]).to(device)
                    for p, which in groups.items()}

        g, residue, sign = gather(0), gather(1), gather(2)
        frozen = {p: t.square().sum(-1, keepdim=True) for p, t in g.items()}
        return cls(tuple(numels), y, variant, G=torch.cat([t.flatten(1) for t in g.values()], 1),
                   residue=residue, sign=sign, frozen=frozen)

    @staticmethod
    def _groups(numels: Sequence[int], y: int) -> dict[int, list[int]]:
        """P -> numbers of the tensors with that P, both ascending."""
        by_size: dict[int, list[int]] = {}
        for i, n in enumerate(numels):
            by_size.setdefault(sizes_of(n, y)[0], []).append(i)
        return dict(sorted(by_size.items()))

    def blocks(self, g: Tensor) -> list[Tensor]:
        """The diagonals in `g`, shaped like G (S, sum of P): one (S, n, P) view for every P.

        With them an optimiser treats each diagonal as a parameter of its own.
        """
        groups = self._groups(self.numels, self.y)
        parts = g.split([p * len(which) for p, which in groups.items()], dim=1)
        return [part.unflatten(1, (-1, p)) for p, part in zip(groups, parts, strict=True)]

    def to_delta(self, intrinsic: Tensor) -> Tensor:
        """The offset Proj_up(I) = M I / (sqrt(P sum(G^2)) sqrt(D / P)). intrinsic (S, T, y) -> (S, T, N).

        The normaliser gives every column of M length 1, on average over Pi. Tensors are in the order of `numels`.
        """
        pieces: list[Tensor] = [intrinsic] * len(self.numels)
        released = self.variant == "released"
        for (p, which), g in zip(self._groups(self.numels, self.y).items(), self.blocks(self.G), strict=True):
            sign = self.sign[p].to(intrinsic)[:, None]
            residue = self.residue[p].long()[:, None]
            scale = p**-0.5 if released else 1.0
            square = self.frozen[p].to(g) if released else g.square().sum(-1, keepdim=True)
            counts = torch.tensor([[self.numels[i]] for i in which]).to(g)  # D of each tensor
            length = (square * counts).sqrt()[:, None]  # sqrt(P) sqrt(D / P) = sqrt(D)
            # divided by `length` here, where there are r numbers instead of P
            short = torch.nn.functional.pad(intrinsic, (0, sign.shape[-1] - self.y))[:, :, None] * sign / length
            first = hadamard(short, scale).gather(3, residue.expand(-1, intrinsic.shape[1], -1, -1))
            second = hadamard(first * g[:, None], scale)  # (S, T, n, P)
            for i, piece in zip(which, second.unbind(2), strict=True):
                pieces[i] = piece[..., :self.numels[i]]
        return torch.cat(pieces, dim=2)
