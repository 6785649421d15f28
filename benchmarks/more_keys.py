"""A T5 whose self-attention sees more keys than its sequence has: the least that a prefix costs, however computed."""

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

NAME = "benchmark_more_keys"
_MORE: WeakKeyDictionary = WeakKeyDictionary()  # self-attention module -> number of added keys, inside `more_keys`


def _attention(module, query, key, value, attention_mask, dropout=0.0, scaling=None, position_bias=None, **kwargs):
    added, more = position_bias, _MORE.get(module, 0)
    if attention_mask is not None:
        added = (torch.where(attention_mask, added, torch.finfo(added.dtype).min)
                 if attention_mask.dtype == torch.bool else added + attention_mask)
    key, value, added = pad(key, (0, 0, more, 0)), pad(value, (0, 0, more, 0)), pad(added, (more, 0))
    return scaled_dot_product_attention(query, key, value, attn_mask=added, dropout_p=dropout,
                                        scale=scaling).transpose(1, 2), None


def _mask(*args, **kwargs):
    return sdpa_mask(*args, **{**kwargs, "allow_is_causal_skip": False})


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, _mask)


@contextmanager
def more_keys(model, keys: int) -> Iterator[None]:
    """Inside the block, every self-attention of `model` has `keys` added keys and values before its own.

    They are zeros and get no position bias. Cross-attention has none.
    """
    stacks = (model.encoder, model.decoder)
    before = [stack.config._attn_implementation for stack in stacks]
    for stack in stacks:
        stack.set_attn_implementation(NAME)
        _MORE.update({block.layer[0].SelfAttention: keys for block in stack.block})
    try:
        yield
    finally:
        for stack, name in zip(stacks, before, strict=True):
            stack.set_attn_implementation(name)
        _MORE.clear()
