"""Projections between a delta's space R^N and the shared subspace R^y (section 4, appendix A.2), for S runs at once.

The S runs are independent. Everything acts on offsets from the fixed random initialisation:
theta = theta_init + Proj_up(I). No layer has a bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unidelta import checks

KINDS = ("adapter", "lora", "prefix")
VARIANTS = ("paper", "released")
# Weight of the reconstruction term. That of `released` is from the single-task script; the multi-task script has 10.
RATIO = {"paper": 10.0, "released": 0.1}


@dataclass
class Projection:
    """Proj_down and Proj_up of one delta for S runs: down1 (S, y, N), down2 (S, y, y) and up (S, N, y).

    All three start from N(0, 0.02²).
    """

    down1: Tensor
    down2: Tensor
    up: Tensor

    @classmethod
    def start(cls, numel: int, y: int, seeds: list[int], kind: str) -> Projection:
        """Draw random projections, one run per seed. A seed gives the same numbers whatever its run is stacked with.

        Raises ValueError if `kind` is not one of KINDS, if `numel` or `y` is not a whole number from 1, or for seeds
        that are not a list of whole numbers in range.
        """
        checks.known(kind, KINDS, "unknown delta")
        checks.whole("numel", numel)
        checks.whole("y", y)
        checks.seeds(seeds)
        generators = [torch.Generator().manual_seed(1000 * seed + KINDS.index(kind)) for seed in seeds]

        def draw(*shape: int) -> Tensor:  # (S, *shape)
            return torch.stack([torch.empty(shape).normal_(0, 0.02, generator=g) for g in generators])

        return cls(down1=draw(y, numel), down2=draw(y, y), up=draw(numel, y))

    def tensors(self) -> list[Tensor]:
        """[down1, down2, up], in the order in which they are trained and saved."""
        return [self.down1, self.down2, self.up]

    def to_subspace(self, offset: Tensor) -> Tensor:
        """I = Proj_down(theta), a two-layer MLP with tanh between the layers. offset (S, T, N) -> (S, T, y)."""
        return torch.tanh(offset @ self.down1.mT) @ self.down2.mT

    def to_delta(self, intrinsic: Tensor) -> Tensor:
        """The offset Proj_up(I), one linear map. intrinsic (S, T, y) -> (S, T, N)."""
        return intrinsic @ self.up.mT


def draw_ratios(seed: int, step: int, n: int) -> Tensor:
    """Draw (alpha, beta, 1 - alpha - beta) n times, (n, 3): alpha ~ U[0, 1], beta ~ U[0, 1 - alpha].

    This is not uniform on the simplex. Raises ValueError unless `seed`, `step` and `n` are whole numbers, `n` from 1.
    """
    checks.whole("seed", seed, least=0)
    checks.whole("step", step, least=0)
    checks.whole("n", n)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    u = torch.rand(n, 2, generator=generator)
    alpha = u[:, 0]
    beta = u[:, 1] * (1 - alpha)
    return torch.stack([alpha, beta, 1 - alpha - beta], dim=1)


def draw_spread(seed: int, step: int, n: int, y: int, spread: float) -> Tensor:
    """Draw from N(0, spread^2) in each of y dimensions, n times, (n, y). Not the paper's.

    The draws are added to a step's I_{alpha;beta} in stage 1, or to I in stage 2 (from the same generators). They are
    the same for every delta. Raises ValueError unless all numbers are whole but `spread`, `n` and `y` from 1.
    """
    checks.whole("seed", seed, least=0)
    checks.whole("step", step, least=0)
    checks.whole("n", n)
    checks.whole("y", y)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step + 500_000_000_000)
    return spread * torch.randn(n, y, generator=generator)


def interpolate(intrinsic: dict[str, Tensor], ratios: Tensor) -> Tensor:
    """I_{alpha;beta} = alpha I_A + beta I_P + (1 - alpha - beta) I_L (section 4).

    intrinsic: kind -> (..., y); ratios (..., 3) in the order adapter, prefix, lora.
    """
    own = torch.stack([intrinsic[k] for k in ("adapter", "prefix", "lora")], dim=-2)  # (..., 3, y)
    return (ratios.unsqueeze(-2) @ own).squeeze(-2)


def centre(intrinsic: dict[str, Tensor]) -> Tensor:
    """(I_A + I_P + I_L) / 3, the point at which stage 1 is validated. intrinsic: kind -> (..., y)."""
    return sum(intrinsic[k] for k in KINDS) / len(KINDS)


def reconstruction(variant: str, rebuilt: Tensor, offset: Tensor) -> Tensor:
    """L_dist of each run, summed over the T training tasks (or draws of them), (S,).

    `paper`: squared distance; `rebuilt` comes from the *interpolated* vector. `released`: plain L2 distance; `rebuilt`
    comes from the delta's *own* vector. Both arguments are (S, T, N). Raises ValueError if `variant` is neither.
    """
    if variant == "paper":
        return (rebuilt - offset).square().sum(-1).sum(-1)
    if variant == "released":
        return torch.linalg.vector_norm(rebuilt - offset, dim=-1).sum(-1)
    raise ValueError(f"unknown variant {variant!r}; allowed: {', '.join(VARIANTS)}")


def random_like(up: Tensor, seed: int, kind: str) -> Tensor:
    """The control: an untrained up-projection (N, y) whose columns are as long as those of the trained `up`.

    The directions of the columns are random, and each delta has its own. Raises ValueError if `kind` is not one of
    KINDS, or if `seed` is not a whole number.
    """
    checks.known(kind, KINDS, "unknown delta")
    checks.whole("seed", seed, least=0)
    generator = torch.Generator().manual_seed(1000 * seed + 77 + KINDS.index(kind))
    noise = torch.randn(up.shape, generator=generator).to(up)
    return noise * (torch.linalg.vector_norm(up, dim=0) / torch.linalg.vector_norm(noise, dim=0))
