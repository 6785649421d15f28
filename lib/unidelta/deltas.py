"""The three deltas of the paper (section 3, appendix A.2): what theta contains, how it starts, and what it computes.

A *solution* is one flat vector theta of length N. `make` derives a delta's layout from a T5 configuration alone (no
weights are needed). `applied` (unidelta.injection) runs a frozen T5 with a whole stack of solutions, theta (K, N), at
once. With the defaults and the shape of T5-base, every delta has N = 1,105,920.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor

from . import checks
from .injection import applied

__all__ = ["Adapter", "Delta", "Geometry", "Lora", "Prefix", "applied", "make"]

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Geometry:
    """The numbers of a T5 that a delta depends on: d_model, heads, d_kv, and the layers of encoder and decoder."""

    d: int
    heads: int
    d_kv: int
    encoder: int
    decoder: int

    @classmethod
    def of(cls, config) -> Geometry:
        """Read the numbers from a transformers T5Config."""
        return cls(config.d_model, config.num_heads, config.d_kv, config.num_layers, config.num_decoder_layers)

    @property
    def inner(self) -> int:
        """Width of the queries, keys and values, heads * d_kv (equal to d_model in T5-base, not in every T5)."""
        return self.heads * self.d_kv

    def sites(self, *sublayers: str) -> list[str]:
        """Names such as `decoder.3.cross` in the order of theta: encoder blocks, decoder blocks, each by sublayer."""
        encoder = [f"encoder.{i}.{s}" for i in range(self.encoder) for s in sublayers if s != "cross"]
        return encoder + [f"decoder.{i}.{s}" for i in range(self.decoder) for s in sublayers]


@dataclass(frozen=True)
class Delta:
    """A delta: its `kind`, the `geometry` it fits, and `shapes`, the ordered (name, shape) pairs of theta's tensors."""

    geometry: Geometry
    shapes: Shapes
    kind: ClassVar[str]

    @property
    def numel(self) -> int:
        """N, the length of one solution."""
        return sum(math.prod(shape) for _, shape in self.shapes)

    def _check(self, theta: Tensor, *dimensions: int) -> None:
        if not isinstance(theta, Tensor) or theta.ndim not in dimensions or theta.shape[-1] != self.numel:
            got = tuple(theta.shape) if isinstance(theta, Tensor) else type(theta).__name__
            allowed = " or ".join({1: f"({self.numel},)", 2: f"(K, {self.numel})"}[n] for n in dimensions)
            raise ValueError(f"theta of {self.kind} is {got}; allowed: a tensor {allowed}")

    def views(self, theta: Tensor) -> dict[str, Tensor]:
        """The tensors inside theta, (K, N) or (N,), by name, each a (K, *shape) or (*shape) view of it.

        Raises ValueError for what is no tensor of that shape.
        """
        self._check(theta, 1, 2)
        parts = theta.split([math.prod(shape) for _, shape in self.shapes], dim=-1)
        return {name: part.unflatten(-1, shape) for (name, shape), part in zip(self.shapes, parts, strict=True)}

    def blocks(self, theta: Tensor) -> list[Tensor]:
        """The same tensors grouped by repeating pattern: a few (K, S, *shape) views of theta (K, N), each of S sites.

        The flat layout is periodic (every LoRA site holds an A and a B). An optimiser can therefore treat the S
        matrices of one kind in one operation instead of S. Raises ValueError for what is no tensor of that shape.
        """
        self._check(theta, 2)
        shapes = [shape for _, shape in self.shapes]
        periods = (p for p in range(1, len(shapes) + 1) if len(shapes) % p == 0)
        period = next(p for p in periods if shapes == shapes[:p] * (len(shapes) // p))
        sites = theta.unflatten(1, (len(shapes) // period, -1))
        parts = sites.split([math.prod(shape) for shape in shapes[:period]], dim=2)
        return [part.unflatten(2, shape) for shape, part in zip(shapes[:period], parts, strict=True)]


def drawn(shapes: Shapes, seed: int, fill: Callable[[str, Tensor, torch.Generator], Tensor]) -> Tensor:
    """A random theta (N,), float32 on the CPU; `fill(name, tensor, generator)` draws each tensor in turn."""
    checks.whole("seed", seed, least=0)
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([fill(name, torch.empty(shape), generator).flatten() for name, shape in shapes])


@dataclass(frozen=True)
class Adapter(Delta):
    """Bottlenecks after every sublayer: x <- x + f(x W_down) W_up with f = SiLU, before the block's own residual.

    The sites are self-attention and feed-forward in the encoder, and self-attention, cross-attention and feed-forward
    in the decoder. W_down (d, r) and W_up (r, d) start from N(0, 0.02²).
    """

    bottleneck: int
    kind = "adapter"

    @classmethod
    def build(cls, geometry: Geometry, bottleneck: int = 12) -> Adapter:
        """Lay out W_down (d, r) and W_up (r, d) at every sublayer: the encoder's two and the decoder's three."""
        shapes = (("down", (geometry.d, bottleneck)), ("up", (bottleneck, geometry.d)))
        sites = geometry.sites("self", "cross", "ff")
        return cls(geometry, tuple((f"{site}.{name}", shape) for site in sites for name, shape in shapes), bottleneck)

    def init(self, seed: int) -> Tensor:
        """The fixed random initialisation, (N,); solutions are measured as offsets from it.

        Raises ValueError unless `seed` is a whole number from 0.
        """
        return drawn(self.shapes, seed, lambda name, tensor, generator: tensor.normal_(0.0, 0.02, generator=generator))


@dataclass(frozen=True)
class Lora(Delta):
    """Low-rank updates of W_q and W_v in every attention: h <- h + s x A B, with A (d, r) and B (r, inner).

    B starts at zero, A uniformly within +-1/sqrt(r): Kaiming's rule takes r for the fan-in of a (d, r) tensor.
    """

    rank: int
    scale: float
    kind = "lora"

    @classmethod
    def build(cls, geometry: Geometry, rank: int = 10, scale: float | None = None) -> Lora:
        """Lay out A (d, r) and B (r, inner) of W_q, then of W_v, at every attention; scale s: 16 / r unless given."""
        shapes = (("A", (geometry.d, rank)), ("B", (rank, geometry.inner)))
        sites = [f"{site}.{matrix}" for site in geometry.sites("self", "cross") for matrix in "qv"]
        named = tuple((f"{site}.{name}", shape) for site in sites for name, shape in shapes)
        return cls(geometry, named, rank, 16 / rank if scale is None else scale)

    def init(self, seed: int) -> Tensor:
        """The fixed random initialisation, (N,); solutions are measured as offsets from it.

        Raises ValueError unless `seed` is a whole number from 0.
        """
        def fill(name, tensor, generator):
            if name.endswith(".B"):
                return tensor.zero_()
            bound = self.rank**-0.5
            return tensor.uniform_(-bound, bound, generator=generator)
        return drawn(self.shapes, seed, fill)


@dataclass(frozen=True)
class Prefix(Delta):
    """m keys and values before every self-attention's own, computed as tanh(P W_1^T) W_2^T from an embedding P.

    The encoder and the decoder each have a P (m, d), a W_1 (d_P, d) and a W_2 (2 L inner, d_P); cross-attention has no
    prefix. `reading` says how the (m, 2 L inner) product becomes (L, 2, heads, m, d_kv): `natural` keeps row j as
    prefix token j; `released` reinterprets the memory as the authors' code does, which mixes tokens and layers. With
    `bias="relative"` the prefix stands at the positions before the sequence and gets T5's relative bias; with `zero`
    it gets none. P starts from N(0, init_std), the two linear maps uniformly within +-1/sqrt(fan-in).
    """

    length: int
    hidden: int
    reading: str
    bias: str
    init_std: float
    kind = "prefix"

    @classmethod
    def build(
        cls,
        geometry: Geometry,
        length: int = 120,
        hidden: int = 24,
        reading: str = "released",
        bias: str = "relative",
        init_std: float = 0.02,
    ) -> Prefix:
        """Lay out an embedding (m, d) and two linear layers, (hidden, d) and (2 L inner, hidden), for each stack.

        One set is for the encoder's self-attention and one for the decoder's. init_std: standard deviation of the
        embedding's normal initialisation.
        """
        shapes = []
        for stack, layers in (("encoder", geometry.encoder), ("decoder", geometry.decoder)):
            shapes += [
                (f"{stack}.embedding", (length, geometry.d)),
                (f"{stack}.linear1", (hidden, geometry.d)),
                (f"{stack}.linear2", (2 * layers * geometry.inner, hidden)),
            ]
        return cls(geometry, tuple(shapes), length, hidden, reading, bias, init_std)

    def init(self, seed: int) -> Tensor:
        """The fixed random initialisation, (N,); solutions are measured as offsets from it.

        Raises ValueError unless `seed` is a whole number from 0.
        """
        def fill(name, tensor, generator):
            if name.endswith(".embedding"):
                return tensor.normal_(0.0, self.init_std, generator=generator)
            bound = tensor.shape[1] ** -0.5
            return tensor.uniform_(-bound, bound, generator=generator)
        return drawn(self.shapes, seed, fill)

    def keys_values(self, weights: Mapping[str, Tensor], stack: str) -> Tensor:
        """Keys and values of all layers of `stack` ("encoder" or "decoder"): (K, L, 2, heads, m, d_kv).

        `weights` is `views(theta)`. On the third axis, index 0 holds the keys and index 1 the values.
        """
        g = self.geometry
        layers = getattr(g, stack)
        hidden = torch.tanh(torch.bmm(weights[f"{stack}.embedding"], weights[f"{stack}.linear1"].mT))
        flat = torch.bmm(hidden, weights[f"{stack}.linear2"].mT)
        if self.reading == "released":
            return flat.reshape(-1, layers, 2, g.heads, self.length, g.d_kv)
        return flat.unflatten(2, (layers, 2, g.heads, g.d_kv)).permute(0, 2, 3, 4, 1, 5)


KINDS = {"adapter": Adapter, "lora": Lora, "prefix": Prefix}
SIZES = {kind: tuple(field.name for field in fields(cls) if field.name not in ("geometry", "shapes"))
         for kind, cls in KINDS.items()}
CHOICES = {"reading": ("released", "natural"), "bias": ("relative", "zero")}


def make(kind: str, config, **sizes) -> Delta:
    """Make the delta `kind` for a T5 of this `config` (a transformers T5Config; no weights are needed).

    Sizes and their defaults: adapter `bottleneck` (12); lora `rank` (10) and `scale` (16 / rank); prefix `length` m
    (120), `hidden` d_P (24), `reading` ("released", or "natural"), `bias` ("relative", or "zero") and `init_std`
    (0.02). Raises ValueError if the kind or a size is unknown, if `config` is not a T5's, or if a value is not allowed.
    """
    checks.known(kind, KINDS, "unknown delta")
    if not all(hasattr(config, name) for name in ("d_model", "num_heads", "d_kv", "num_layers", "num_decoder_layers")):
        raise ValueError(f"config is a {type(config).__name__}: "
                         "it must be the configuration of a T5, such as model.config")
    for name, value in sizes.items():
        checks.known(name, SIZES[kind], f"{kind} has no size")
        if name in CHOICES:
            if value not in CHOICES[name]:
                raise ValueError(f"{name}={value!r} is not allowed; allowed: {', '.join(CHOICES[name])}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(f"{name}={value!r} is not allowed: it must be a number above zero")
        elif name not in ("scale", "init_std") and not isinstance(value, int):
            raise ValueError(f"{name}={value!r} is not allowed: it must be a whole number above zero")
    return KINDS[kind].build(Geometry.of(config), **sizes)
