"""A tiny T5 v1.1 with a byte-level tokenizer, made on the spot, and the settings of runs that are over in seconds.

The T5 is random, or taught how to answer so that scores are not all zero."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from unidelta import backbone, data, stages, store, tasks
from unidelta.projections import KINDS
from unidelta.stages import controls, landscapes

linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures peak memory, which needs Linux")
TASKS = ("glue-sst2", "rotten_tomatoes", "amazon_polarity")
SENTINELS = [f"<extra_id_{i}>" for i in range(3)]
TRAIN, UNSEEN = ["glue-sst2"], ["rotten_tomatoes", "amazon_polarity"]  # of the runs of `open_run` and `done`
# their profile's settings; strong learning rates in the subspace, so that a few steps change the answers
SMALL = dict(steps=4, y=3, caps={"train": 48, "dev": 20, "test": 24},
             original_every=2, approximate_every=2, optimize_every=2, optimize_lrs=(1.0, 5.0),
             device="cpu", max_length=64)


def tokenizer(vocabulary: int = 261) -> PreTrainedTokenizerFast:
    """Byte-level BPE over stand-in rows. 261 is five special tokens and the 256 bytes, so no merge at all."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.decoder = decoders.ByteLevel()
    lines = [f"[{name}] {text} {answers[0]}" for name in TASKS
             for text, answers in tasks.rows(name, "train", "embedded")[:200]]
    core.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<pad>", "</s>", *SENTINELS], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="</s>",
                                   extra_special_tokens=SENTINELS)


def save(folder: Path, vocabulary: int = 261, seed: int = 0, **shape) -> str:
    """Save a random T5 v1.1 and its tokenizer in `folder`. Return its path."""
    torch.manual_seed(seed)
    words = tokenizer(vocabulary)
    sizes = {"d_model": 32, "d_kv": 8, "num_heads": 4, "d_ff": 48, "num_layers": 2, "vocab_size": len(words)} | shape
    config = T5Config(feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
                      dropout_rate=0.0, **sizes)
    model = T5ForConditionalGeneration(config)
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.shared.weight) * 0.1)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)


def teach(folder: str, steps: int = 30) -> str:
    """Train the whole T5 of `folder` for a moment on the answers of TASKS. Far from perfect, it answers in words."""
    loaded = backbone.load(folder, device="cpu")
    splits = [data.load(loaded, name, "embedded", None, 0, {"train": 300}, 64, store.base()).train for name in TASKS]
    model = T5ForConditionalGeneration.from_pretrained(folder).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(steps):
        rows = [(split, range(8 * step % 288, 8 * step % 288 + 8)) for split in splits]
        model(**data.collate(rows, model.device)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def numel(run) -> dict[str, int]:
    """N of each delta of a run."""
    return {kind: run.delta(kind).numel for kind in KINDS}


def every_stage(run) -> dict[str, dict]:
    """The artifacts of every stage of one subspace with two seeds, by stage."""
    both = (0, 1)
    return {"original": stages.original(run, TRAIN + UNSEEN, seeds=both),
            "approximate": stages.approximate(run, TRAIN, both),
            "optimize": stages.optimize(run, TRAIN, UNSEEN, seeds=both),
            "transfer": stages.transfer(run, TRAIN, UNSEEN, seeds=both),
            "controls": controls.controls(run, TRAIN, UNSEEN[:1], both),
            "landscape": landscapes.landscape(run, TRAIN, UNSEEN[0], extent=1.0, step=0.5, rows=6),
            "rescaled": controls.rescaled(run, TRAIN, UNSEEN[:1], both),
            "lengthened": controls.lengthened(run, TRAIN, UNSEEN[:1], both)}
