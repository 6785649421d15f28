"""Full fine-tuning as a fourth method (section 5.3): theta is all of the backbone's weights and starts from theta_0.

The deltas of a stack share one frozen backbone and therefore one forward pass. Here every solution is a backbone of its
own, and solutions are run one after another. torch.func.functional_call lends the model a solution's weights for one
call; the model itself never changes.
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
    """All weight tensors of `model` in its own order, tied ones once; N is the size of the backbone."""

    model: nn.Module = field(repr=False)
    kind: ClassVar[str] = "finetune"

    @classmethod
    def of(cls, model: nn.Module) -> Finetune:
        """Full fine-tuning of this transformers T5."""
        shapes = tuple((name, tuple(weight.shape)) for name, weight in model.named_parameters())
        return cls(Geometry.of(model.config), shapes, model)

    @property
    def numels(self) -> list[int]:
        """How many numbers each weight tensor has; Fastfood projects to the tensors one by one."""
        return [weight.numel() for weight in self.model.parameters()]

    def init(self, seed: int = 0) -> Tensor:
        """theta_0, (N,) float32 on the CPU. Nothing in it is random, so `seed` has no effect."""
        return torch.cat([weight.detach().float().cpu().flatten() for weight in self.model.parameters()])

    def blocks(self, theta: Tensor) -> list[Tensor]:
        """Every weight tensor of theta (K, N) by itself, (K, 1, *shape).

        The layers of a T5 are not grouped, because those of encoder and decoder differ.
        """
        return [view.unsqueeze(1) for view in self.views(theta).values()]

    def tuned(self, backbone: Backbone, theta: Tensor) -> Backbone:
        """`backbone` with the weights theta (N,); gradients reach theta. Raises ValueError for another shape."""
        if theta.shape != (self.numel,):
            raise ValueError(f"finetune takes theta of shape ({self.numel},), got {tuple(theta.shape)}")
        weights = {name: view[0].to(self.model.dtype) for name, view in self.views(theta[None]).items()}
        return replace(backbone, read=lambda: Tuned(self.model, weights))


class Tuned:
    """A T5 that computes with other `weights`, name -> tensor. It can be called and can generate like the model."""

    def __init__(self, model: nn.Module, weights: Mapping[str, Tensor]):
        self.config = model.config
        self.device = model.device
        self.prepare_decoder_input_ids_from_labels = model.prepare_decoder_input_ids_from_labels  # needs no weights
        self.weights = {f"model.{name}": weight for name, weight in weights.items()}
        self._call = _Method(model, "__call__")
        self._generate = _Method(model, "generate")

    def __call__(self, **batch):
        return functional_call(self._call, self.weights, kwargs=batch)

    def generate(self, **options) -> Tensor:
        return functional_call(self._generate, self.weights, kwargs=options)


class _Method(nn.Module):
    # functional_call calls `forward` only: each other method gets a module whose forward it is
    def __init__(self, model: nn.Module, name: str):
        super().__init__()
        self.model, self.name = model, name

    def forward(self, **options):
        return getattr(self.model, self.name)(**options)
