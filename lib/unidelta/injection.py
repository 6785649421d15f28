"""Running a frozen T5 with stacks of solutions: row groups of one batch, each with its own theta, in one forward pass.

Adapter and LoRA enter through forward hooks, the prefix through transformers' attention interface. The T5 code itself
is neither copied nor patched. The rows of a stack are viewed as (K, B*T, d), so that the weights of a group are used in
one batched product and never repeated per row.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakKeyDictionary

import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention, silu

PREFIX_ATTENTION = "unidelta_prefix"
STACKS = ("encoder", "decoder")
KINDS = ("adapter", "lora", "prefix")  # those that `install` has hooks for


@contextmanager
def applied(model: nn.Module, entries: Sequence[tuple]) -> Iterator[None]:
    """Inside the block, `model` (a transformers T5) computes with `entries`, a list of (delta, theta).

    theta is (K, N) or (N,) and holds the parameters themselves (initialisation included). With G solutions over all
    entries, a batch has G * B rows: the first B rows use the first solution of the first entry, and so on in the order
    given. An adapter or LoRA acts where its `shapes` have parameters. Calls and `generate` both work, and gradients
    reach theta. After the block the model is as it was, also after an exception. Blocks may be nested (both act on the
    same rows), except if both hold a prefix. With gradient checkpointing, which computes layers again in the backward
    pass, `backward` belongs inside the block, too.

    Raises ValueError if the model is not a T5; if an entry is not a pair; if a delta is not one, has no hook, has
    parameters for a place without one, or was made for another T5; if a theta has the wrong shape or is not a tensor of
    floating-point numbers; if G does not divide the rows of a batch; and if two blocks with a prefix are nested.
    """
    if entries and not all(hasattr(model, name) for name in ("config", *STACKS)):
        raise ValueError("applied takes a transformers T5 as its model (for a Backbone: its `.model`), "
                         f"got {type(model).__name__}")
    if not all(isinstance(entry, Sequence) and len(entry) == 2 for entry in entries):
        raise ValueError("applied takes entries as pairs: [(delta, theta), ...]")
    injection = _Injection(model, entries)
    with ExitStack() as undo:
        injection.install(undo)
        yield


@dataclass
class _Entry:
    """Neighbouring solutions of one delta: `count` of them, in one or more (K, N) tensors."""

    delta: object
    thetas: list[Tensor]
    count: int
    weights: dict[str, Tensor] = field(default_factory=dict)
    keys_values: dict[str, Tensor] = field(default_factory=dict)


class _Injection:
    def __init__(self, model: nn.Module, entries: Sequence[tuple]):
        self.model = model
        self.entries: list[_Entry] = []
        self.past = 0
        self.stamp = None
        self.masks = {}
        for delta, theta in entries:
            if not hasattr(delta, "kind"):
                raise ValueError(f"applied takes deltas as `deltas.make` makes them, got {type(delta).__name__}")
            if delta.kind not in KINDS:
                raise ValueError(f"there is no hook for a delta of kind {delta.kind!r}; allowed: {', '.join(KINDS)}")
            if not isinstance(theta, Tensor) or not theta.is_floating_point():
                got = theta.dtype if isinstance(theta, Tensor) else type(theta).__name__
                raise ValueError(f"{delta.kind} takes theta as a tensor of floating-point numbers, got {got}")
            theta = theta[None] if theta.ndim == 1 else theta
            if theta.ndim != 2 or theta.shape[1] != delta.numel or not len(theta):
                n, got = delta.numel, tuple(theta.shape)
                raise ValueError(f"{delta.kind} takes theta of shape (K, {n}) or ({n},), got {got}")
            own = type(delta.geometry).of(model.config)
            if delta.geometry != own:
                raise ValueError(f"this {delta.kind} was made for {delta.geometry}, but the model has {own}")
            if self.entries and self.entries[-1].delta == delta:
                self.entries[-1].thetas.append(theta)
                self.entries[-1].count += len(theta)
            else:
                self.entries.append(_Entry(delta, [theta], len(theta)))
        self.groups = sum(entry.count for entry in self.entries)
        self.kinds = {entry.delta.kind for entry in self.entries}
        # Attention is called once per run: one entry with a prefix, or neighbouring entries without one.
        self.runs: list[tuple[int, _Entry | None]] = []
        for entry in self.entries:
            if entry.delta.kind == "prefix":
                self.runs.append((entry.count, entry))
            elif self.runs and self.runs[-1][1] is None:
                self.runs[-1] = (self.runs[-1][0] + entry.count, None)
            else:
                self.runs.append((entry.count, None))

    def install(self, undo: ExitStack) -> None:
        """Put every hook in place; `undo` takes them out again in the reverse order."""
        if not self.entries:
            return
        for stack in STACKS:
            before = partial(self._before, stack)
            undo.callback(getattr(self.model, stack).register_forward_pre_hook(before, with_kwargs=True).remove)
        named = {kind: {name for entry in self.entries if entry.delta.kind == kind for name, _ in entry.delta.shapes}
                 for kind in ("adapter", "lora")}
        for name, module in _sublayers(self.model):
            if f"{name}.down" in named["adapter"]:
                named["adapter"] -= {f"{name}.down", f"{name}.up"}
                undo.callback(module.register_forward_hook(self._adapter_hook(name)).remove)
            for matrix in "qv":
                if f"{name}.{matrix}.A" in named["lora"]:
                    named["lora"] -= {f"{name}.{matrix}.A", f"{name}.{matrix}.B"}
                    hook = self._lora_hook(f"{name}.{matrix}")
                    undo.callback(getattr(module, matrix).register_forward_hook(hook).remove)
            if "prefix" in self.kinds and not name.endswith("ff"):
                if module in _PREFIXED:
                    raise ValueError("blocks with a prefix cannot be nested: list all solutions in one block")
                stack, layer, sublayer = name.split(".")
                _PREFIXED[module] = (self, stack, int(layer) if sublayer == "self" else None)
                undo.callback(_PREFIXED.pop, module)
        for kind, left in named.items():
            if left:
                raise ValueError(f"this {kind} has parameters for a place without a hook, such as {min(left)!r}; "
                                 "allowed: down and up of every sublayer (adapter), "
                                 "A and B of q and v of every attention (lora)")
        if "prefix" in self.kinds:
            transformers.AttentionInterface.register(PREFIX_ATTENTION, _attention)
            transformers.AttentionMaskInterface.register(PREFIX_ATTENTION, _mask)
            for module in (self.model.encoder, self.model.decoder):
                undo.callback(module.set_attn_implementation, module.config._attn_implementation)
                module.set_attn_implementation(PREFIX_ATTENTION)

    def _before(self, stack: str, module: nn.Module, args: tuple, kwargs: dict) -> None:
        """Before each pass through a stack: check the rows, and bring weights, prefix and past length up to date."""
        inputs = next((kwargs[k] for k in ("input_ids", "inputs_embeds") if kwargs.get(k) is not None), None)
        rows = len(args[0] if inputs is None else inputs)
        if rows % self.groups:
            g = self.groups
            raise ValueError(f"a batch of {rows} rows cannot be shared by {g} solutions: give a multiple of {g} rows")
        cache = kwargs.get("past_key_values")
        self.past = cache.get_seq_length() if stack == "decoder" and cache is not None else 0
        self._refresh(stack)

    def _refresh(self, stack: str) -> None:
        # While the block is open, a theta may be updated in place or the autograd mode change: the stamp shows both,
        # but for tensors made in inference mode, which count no versions.
        thetas = [t for entry in self.entries for t in entry.thetas]
        unseen = any(t.is_inference() for t in thetas)
        versions = [] if unseen else [t._version for t in thetas]
        stamp = (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), versions)
        if unseen or stamp != self.stamp:
            self.stamp = stamp
            weight = self.model.get_input_embeddings().weight
            for entry in self.entries:
                theta = entry.thetas[0] if len(entry.thetas) == 1 else torch.cat(entry.thetas)
                # The prefix is computed in theta's own precision and cast afterwards.
                dtype = theta.dtype if entry.delta.kind == "prefix" else weight.dtype
                entry.weights = entry.delta.views(theta.to(weight.device, dtype))
                entry.keys_values = {}
        for entry in self.entries:
            if entry.delta.kind == "prefix":
                made = entry.keys_values.get(stack)
                # Every pass that may be differentiated needs a graph of its own; otherwise one computation serves all.
                if made is None or (torch.is_grad_enabled() and made.requires_grad):
                    entry.keys_values[stack] = entry.delta.keys_values(entry.weights, stack)

    def _change(self, kind: str, y: Tensor, x: Tensor, change: Callable[[_Entry, Tensor, Tensor], Tensor]) -> Tensor:
        """Apply `change(entry, y, x)` to the rows of the entries of `kind`, with y and x as (K, B*T, width)."""
        counts = [entry.count for entry in self.entries]
        ys = self._share(y, counts)
        xs = ys if x is y else self._share(x, counts)
        pieces = []
        for entry, k, y, x in zip(self.entries, counts, ys, xs, strict=True):
            if entry.delta.kind == kind:
                y = change(entry, y.reshape(k, -1, y.shape[-1]), x.reshape(k, -1, x.shape[-1])).view(y.shape)
            pieces.append(y)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _share(self, rows: Tensor, counts: list[int]) -> Sequence[Tensor]:
        """Cut a batch into consecutive pieces, one per entry of `counts`: the rows of that many solutions."""
        each = len(rows) // self.groups
        return rows.split([count * each for count in counts]) if len(counts) > 1 else (rows,)

    def _adapter_hook(self, site: str) -> Callable:
        down, up = f"{site}.down", f"{site}.up"

        def change(entry: _Entry, y: Tensor, x: Tensor) -> Tensor:
            if down not in entry.weights:  # an adapter in other places, stacked with one that is here
                return y
            hidden = silu(torch.bmm(x, entry.weights[down].to(x.dtype)))
            return torch.baddbmm(y, hidden, entry.weights[up].to(x.dtype))

        def hook(module, args, output):
            if isinstance(output, tuple):
                return (self._change("adapter", output[0], output[0], change), *output[1:])
            return self._change("adapter", output, output, change)

        return hook

    def _lora_hook(self, site: str) -> Callable:
        a, b = f"{site}.A", f"{site}.B"

        def change(entry: _Entry, y: Tensor, x: Tensor) -> Tensor:
            if a not in entry.weights:
                return y
            hidden = torch.bmm(x, entry.weights[a].to(x.dtype))
            return torch.baddbmm(y, hidden, entry.weights[b].to(x.dtype), alpha=entry.delta.scale)

        return lambda module, args, output: self._change("lora", output, args[0], change)

    def attend(self, stack: str, layer: int | None, q, k, v, mask, bias, **options) -> Tensor:
        """Attention of all rows, (rows, heads, queries, d_kv); `layer` None is cross-attention, which has no prefix."""
        runs = self.runs if layer is not None else [(self.groups, None)]
        counts = [count for count, _ in runs]
        memo = self.masks.get((stack, layer is None))
        # T5 shares one bias and one mask among the layers of a stack, so their sum is made once per pass.
        if memo is None or memo[0] is not bias or memo[1] is not mask:
            owns = [mask] * len(runs) if mask is None or len(mask) == 1 else self._share(mask, counts)
            added = [self._mask(stack, run, q, own, bias) for (_, run), own in zip(runs, owns, strict=True)]
            memo = self.masks[stack, layer is None] = (bias, mask, added)
        qs, ks, vs = (self._share(t, counts) for t in (q, k, v))
        out = []
        for (count, prefix), q, k, v, added in zip(runs, qs, ks, vs, memo[2], strict=True):
            if prefix is not None:
                made = prefix.keys_values[stack][:, layer]
                k = _prepend(made[:, 0], k, count)
                v = _prepend(made[:, 1], v, count)
            out.append(scaled_dot_product_attention(q, k, v, attn_mask=added, **options))
        return out[0] if len(out) == 1 else torch.cat(out)

    def _mask(self, stack: str, prefix: _Entry | None, q: Tensor, mask: Tensor | None, bias: Tensor) -> Tensor:
        """What one run adds to the scores: (rows or 1, heads, queries, m + keys)."""
        boolean = mask is not None and mask.dtype == torch.bool
        if prefix is not None:
            before = self._prefix_bias(stack, prefix.delta, q.shape[2])
            bias = torch.cat([before.to(bias.dtype), bias], dim=3)
            if mask is not None:  # every query sees the prefix: a boolean mask allows it, any other adds 0
                mask = pad(mask, (prefix.delta.length, 0), value=boolean)
        if boolean:
            bias = torch.where(mask, bias, torch.finfo(bias.dtype).min)
        elif mask is not None:
            bias = bias + mask
        return bias.to(q.dtype)

    def _prefix_bias(self, stack: str, delta, queries: int) -> Tensor:
        """Relative bias of the m prefix positions, (1, heads, queries, m): prefix token j stands at position j - m."""
        attention = getattr(self.model, stack).block[0].layer[0].SelfAttention
        m = delta.length
        if delta.bias == "zero":
            return attention.q.weight.new_zeros(1, attention.n_heads, queries, m)
        return attention.compute_bias(queries, m, past_seen_tokens=self.past + m)


def _prepend(prefix: Tensor, own: Tensor, count: int) -> Tensor:
    """Put prefix (K, heads, m, d_kv) before own (K*B, heads, T, d_kv), K = count."""
    own = own.unflatten(0, (count, -1))
    return torch.cat([prefix.to(own.dtype)[:, None].expand(-1, own.shape[1], -1, -1, -1), own], dim=3).flatten(0, 1)


def _sublayers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """(name, module) of every attention and feed-forward of a T5, named as in `Geometry.sites`."""
    for stack in STACKS:
        for i, block in enumerate(getattr(model, stack).block):
            yield f"{stack}.{i}.self", block.layer[0].SelfAttention
            if stack == "decoder":
                yield f"{stack}.{i}.cross", block.layer[1].EncDecAttention
            yield f"{stack}.{i}.ff", block.layer[-1].DenseReluDense


# While a block with a prefix is open: attention module -> (injection, stack, layer or None for cross-attention).
_PREFIXED: WeakKeyDictionary = WeakKeyDictionary()


def _attention(module, query, key, value, attention_mask, dropout=0.0, scaling=None, position_bias=None, **kwargs):
    injection, *site = _PREFIXED[module]
    out = injection.attend(*site, query, key, value, attention_mask, position_bias, dropout_p=dropout, scale=scaling)
    return out.transpose(1, 2), None


def _mask(*args, **kwargs) -> Tensor | None:
    # Never leave causality to the kernel: with a prefix before the keys its own causal flag would be wrong.
    return transformers.masking_utils.sdpa_mask(*args, **{**kwargs, "allow_is_causal_skip": False})
