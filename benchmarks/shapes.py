"""Random T5s of a given shape, for timings that do not depend on the weights."""

from types import SimpleNamespace

import torch
from transformers import T5Config, T5ForConditionalGeneration
from transformers.initialization import no_init_weights

from unidelta.backbone import DTYPES

SHAPES = {"tiny": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 300},
          # google/t5-base-lm-adapt
          "base": {"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_heads": 12, "vocab_size": 32128}}


def random_t5(shape: str = "base", dtype: str = "float32", device: str = "cpu") -> SimpleNamespace:
    """Return a frozen T5 v1.1 of that shape with weights from N(0, 0.02).

    It has model, config and device, as a Backbone has, but no tokenizer. Raises ValueError for an unknown shape.
    """
    if shape not in SHAPES:
        raise ValueError(f"unknown shape {shape!r}; allowed: {', '.join(SHAPES)}")
    config = T5Config(feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
                      dropout_rate=0.0, **SHAPES[shape])
    config.dense_act_fn = "gelu_pytorch_tanh"  # as unidelta.backbone loads it
    with no_init_weights():
        model = T5ForConditionalGeneration(config)
    # apart from the embedding, as in T5 v1.1
    model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.shared.weight))
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        weight.data.fill_(1.0) if "layer_norm" in name else weight.data.normal_(0, 0.02)
    model.requires_grad_(False).eval().to(device, DTYPES[dtype])
    return SimpleNamespace(model=model, config=config, device=model.device)
