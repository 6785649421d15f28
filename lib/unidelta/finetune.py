"""Full fine-tuning as a fourth tuning method (section 5.3): theta is all of the backbone's weights, and starts from theta_0.

The deltas of a stack share one frozen backbone and so one forward pass; here every solution is a backbone of its own, and solutions
are run one after another. torch.func.functional_call lends the model their weights for one call; the model itself never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from unidelta.backbone import Backbone
from unidelta.deltas import Delta, Geometry
from unidelta.projections import KINDS

METHODS = (*KINDS, "finetune")


@dataclass(frozen=True)
class Finetune(Delta):
    """All weight tensors of `model`, in its own order, tied ones once; N is the size of the backbone."""

    model: nn.Module = field(repr=False)
    kind: ClassVar[str] = "finetune"

    @classmethod
    def of(cls, model: nn.Module) -> Finetune:
        """For this transformers T5."""
        return cls(Geometry.of(model.config), tuple((name, tuple(w.shape)) for name, w in model.named_parameters()), model)

    @property
    def numels(self) -> list[int]:
        """Numbers in each weight tensor: what Fastfood projects to, one by one."""
        return [weight.numel() for weight in self.model.parameters()]

    def init(self, seed: int = 0) -> Tensor:
        """theta_0, (N,) float32 on the CPU; nothing is random in it, so `seed` is of no account."""
        return torch.cat([weight.detach().float().cpu().flatten() for weight in self.model.parameters()])

    def blocks(self, theta: Tensor) -> list[Tensor]:
        """Every weight tensor of theta (K, N) by itself, (K, 1, *shape): a T5's layers are not gathered, for they differ by stack."""
        return [view.unsqueeze(1) for view in self.views(theta).values()]

    def tuned(self, backbone: Backbone, theta: Tensor) -> Backbone:
        """`backbone` with the weights theta (N,); gradients reach theta. Raises ValueError for a theta of another shape."""
        if theta.shape != (self.numel,):
            raise ValueError(f"finetune takes theta of shape ({self.numel},), got {tuple(theta.shape)}")
        weights = {name: view[0].to(self.model.dtype) for name, view in self.views(theta[None]).items()}
        return replace(backbone, model=Tuned(self.model, weights))


class Tuned:
    """A T5 that computes with other `weights`, name -> tensor: to be called, or asked to generate, like the model itself."""

    def __init__(self, model: nn.Module, weights: Mapping[str, Tensor]):
        self.config, self.device, self.weights = model.config, model.device, {f"model.{name}": w for name, w in weights.items()}
        self._call, self._generate = _Method(model, "__call__"), _Method(model, "generate")

    def __call__(self, **batch):
        return functional_call(self._call, self.weights, kwargs=batch)

    def generate(self, **options) -> Tensor:
        return functional_call(self._generate, self.weights, kwargs=options)


class _Method(nn.Module):
    # functional_call goes through forward, and generate is another method
    def __init__(self, model: nn.Module, name: str):
        super().__init__()
        self.model, self.name = model, name

    def forward(self, **options):
        return getattr(self.model, self.name)(**options)
