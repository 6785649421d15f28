"""Adafactor over stacks: K independent problems in one tensor, each with its own factors, clipping and learning rate.

The paper optimises everything with Adafactor at a constant learning rate (appendix A.2); the released code runs it
without relative steps or parameter scaling. Here the leading dimension of every tensor counts problems, so that a
grid of learning rates, or many tasks, is one tensor and one step. On each problem the result is that of
transformers.optimization.Adafactor with scale_parameter=False, relative_step=False, warmup_init=False.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Views = Callable[[Tensor], list[Tensor]]
CLIP = 1.0          # upper bound of an update's root mean square, per parameter and problem
BETA2_DECAY = -0.8  # at step t the second moments decay by the factor 1 - t^BETA2_DECAY
EPS = 1e-30         # added to squared gradients


def _whole(tensor: Tensor) -> list[Tensor]:
    return [tensor.unsqueeze(1)]


class Adafactor:
    """Adafactor (Shazeer and Stern, 2018) for `tensors`, each (K, *shape): K problems of one parameter of that shape.

    lr: a float, a (K,) tensor with one rate per problem, or a list of these, one per tensor. views: None, a function
    from a (K, N) tensor to a list of (K, S, *shape) views of it, each S parameters of one shape (`delta.blocks`), or a
    list of these, one per tensor. With views, every parameter is treated as if it were a tensor of its own. A parameter
    with two or more dimensions keeps factored second moments over its last two; a vector keeps all of them. Raises
    ValueError if there are no tensors, if an lr is not positive or does not fit K, or if a list of rates does not fit
    the tensors.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        lr: float | Tensor | Sequence[float | Tensor],
        views: Views | Sequence[Views | None] | None = None,
    ):
        if not tensors:
            raise ValueError("Adafactor needs at least one tensor")
        self.tensors = list(tensors)
        views = views if isinstance(views, list | tuple) else [views] * len(self.tensors)
        self.views = [view or _whole for view in views]
        self.lrs = list(lr) if isinstance(lr, list | tuple) else [lr] * len(self.tensors)
        if len(self.lrs) != len(self.tensors):
            raise ValueError(f"{len(self.lrs)} learning rates for {len(self.tensors)} tensors: "
                             "give one for all, or one for each")
        counts = {len(tensor) for tensor in self.tensors}
        for rate in self.lrs:
            if isinstance(rate, Tensor) and (rate.ndim != 1 or counts != {len(rate)}):
                raise ValueError(f"lr must be a number or a ({max(counts)},) tensor, "
                                 "one rate per problem of every tensor")
            if not (torch.as_tensor(rate) > 0).all():
                raise ValueError(f"lr must be above zero, got {rate}")
        self.steps = 0
        self.moments = [
            [self._zeros(view) for view in views(tensor.detach())]
            for views, tensor in zip(self.views, self.tensors, strict=True)
        ]

    @staticmethod
    def _zeros(view: Tensor) -> list[Tensor]:
        """Second moments of a (K, S, *shape) view: rows and columns, or one value per entry for vectors."""
        shape = view.shape
        shapes = [shape[:-1], shape[:-2] + shape[-1:]] if view.ndim > 3 else [shape]
        return [torch.zeros(s, dtype=torch.float32, device=view.device) for s in shapes]

    @torch.no_grad()
    def step(self, grads: Sequence[Tensor] | None = None) -> None:
        """Update the tensors once, in place, from `grads` (shaped like the tensors) or from each tensor's .grad.

        Raises ValueError if a gradient is missing.
        """
        grads = [tensor.grad for tensor in self.tensors] if grads is None else list(grads)
        if any(grad is None for grad in grads) or len(grads) != len(self.tensors):
            raise ValueError("Adafactor needs a gradient for every tensor: call backward() first")
        self.steps += 1
        keep = 1.0 - self.steps**BETA2_DECAY
        for tensor, lr, grad, views, moments in zip(
                self.tensors, self.lrs, grads, self.views, self.moments, strict=True):
            for target, g, moment in zip(views(tensor.detach()), views(grad), moments, strict=True):
                self._update(target, lr, g, moment, keep)

    def _update(self, target: Tensor, lr: float | Tensor, grad: Tensor, moment: list[Tensor], keep: float) -> None:
        grad = grad.float()
        square = grad.square().add_(EPS)
        if len(moment) == 2:
            rows, columns = moment
            rows.lerp_(square.mean(-1), 1.0 - keep)
            columns.lerp_(square.mean(-2), 1.0 - keep)
            r = (rows / rows.mean(-1, keepdim=True)).rsqrt_().unsqueeze(-1)
            update = torch.mul(grad, columns.rsqrt().unsqueeze(-2), out=square).mul_(r)
        else:
            update = moment[0].lerp_(square, 1.0 - keep).rsqrt().mul_(grad)
        inside = tuple(range(2, update.ndim))  # the dimensions of one parameter of one problem
        norm = torch.linalg.vector_norm(update, dim=inside, keepdim=True) if inside else update.abs()
        size = update[0, 0].numel() ** 0.5
        if isinstance(lr, Tensor):
            lr = lr.to(norm).view(-1, *[1] * (norm.ndim - 1))
        scale = lr / (norm / (size * CLIP)).clamp_(min=1.0)
        target.sub_(update.mul_(scale))

    def zero_grad(self) -> None:
        """Delete every tensor's gradient."""
        for tensor in self.tensors:
            tensor.grad = None

    def select(self, problems: Tensor, tensors: Sequence[Tensor]) -> Adafactor:
        """A new optimiser over `tensors` that continues with `problems` (indices into K) only."""
        lrs = [lr[problems.to(lr.device)] if isinstance(lr, Tensor) else lr for lr in self.lrs]
        new = Adafactor(tensors, lrs, self.views)
        new.steps = self.steps
        new.moments = [[[m[problems] for m in moment] for moment in moments] for moments in self.moments]
        return new

    def _named(self) -> dict[str, Tensor]:
        return {
            f"{t}.{v}.{m}": tensor
            for t, moments in enumerate(self.moments)
            for v, moment in enumerate(moments)
            for m, tensor in enumerate(moment)
        }

    def state_dict(self) -> dict[str, Tensor]:
        """The step count and the second moments as a flat dict of tensors, ready for a safetensors checkpoint."""
        return {"steps": torch.tensor([self.steps])} | {name: t.clone() for name, t in self._named().items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from the `state` of `state_dict()`. Raises ValueError if it belongs to tensors of other shapes."""
        named = self._named()
        shapes = {name: tuple(tensor.shape) for name, tensor in named.items()}
        if shapes | {"steps": (1,)} != {name: tuple(tensor.shape) for name, tensor in state.items()}:
            raise ValueError("this optimiser state was made for tensors of other shapes")
        for name, tensor in named.items():
            tensor.copy_(state[name])
        self.steps = int(state["steps"])
