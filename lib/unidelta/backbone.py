"""The frozen pre-trained T5, theta_0: the embedded default, a hub id or a local folder, all loaded in the same way.

Here and in `unidelta.injection`, names are written out as `transformers.NAME`, and annotations stay text: transformers
loads its models when they are first named, and that takes longer than all other imports of a chapter of archived
results.
"""

from __future__ import annotations

import hashlib
import json
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import logging

from unidelta import ROOT, checks

DATA = ROOT / "data"
SHIPPED = {"embedded": DATA / "backbone",
           **{name: DATA / "backbones" / name for name in ("comparing", "rebuilt", "shorter", "stretches")}}
PROBE = "this is a film"
# of the configuration, what decides what the weights compute
COMPUTES = ("d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "layer_norm_epsilon",
            "relative_attention_num_buckets", "relative_attention_max_distance", "dense_act_fn", "is_gated_act",
            "scale_decoder_outputs", "tie_word_embeddings", "decoder_start_token_id", "eos_token_id")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Backbone:
    """A frozen T5 and its tokenizer. `fingerprint` is a hash of all that determines what it computes.

    `read` reads the network, which `model` does when it is first asked for: what finds its results in the store works
    without it.
    """

    name: str
    config: transformers.T5Config
    tokenizer: transformers.PreTrainedTokenizerBase
    device: torch.device
    fingerprint: str
    read: Callable[[], transformers.T5ForConditionalGeneration] = field(repr=False)

    @cached_property
    def model(self) -> transformers.T5ForConditionalGeneration:
        """The network, a transformers T5 in eval mode."""
        return self.read()

    @property
    def title(self) -> str:
        """How captions name it: by its fingerprint and, if it is the hub's, by its id there."""
        own = self.name in SHIPPED or Path(self.name).expanduser().is_dir()
        return f"`{self.fingerprint}`" if own else f"`{self.name}` (`{self.fingerprint}`)"


def device_of(name: str = "auto") -> torch.device:
    """The torch device of that name; `auto` is a GPU if there is one, else the CPU.

    Raises ValueError if there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = ["cpu"]
    if torch.cuda.is_available():
        there += ["cuda", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
    if name not in there:
        raise ValueError(f"no device {name!r}; allowed here: auto, {', '.join(there)}")
    return torch.device(name)


def load(name: str = "embedded", dtype: str = "float32", device: str = "auto") -> Backbone:
    """Load a T5 with its tokenizer, every parameter frozen (section 4: only theta, the projections or I are trained).

    name: `embedded` (the default, in data/backbone), one of the draws in data/backbones (their cards say what each is),
    a local folder, or a hub id such as google/t5-base-lm-adapt. (By the path of its folder a shipped one has another
    fingerprint than by its name, and shares no results with it.) What is loaded is kept; a folder is read again once
    its files have changed. Raises ValueError (one line) if the dtype is unknown, if the device is not there, if a
    folder does not hold a complete T5 with its tokenizer, or if a hub id is neither cached nor can be reached.
    """
    checks.known(dtype, DTYPES, "unknown dtype")
    if not isinstance(name, str | os.PathLike):
        raise ValueError(f"no T5 backbone {name!r}; allowed: {', '.join(SHIPPED)}, a local folder, or a hub id")
    name = os.fspath(name)
    place = SHIPPED.get(name) or Path(name).expanduser()
    files = sorted(f for f in place.iterdir() if f.is_file()) if place.is_dir() else []
    return _load(name, place, dtype, device_of(device), tuple((f.name, *_changed(f)) for f in files))


def _changed(file: Path) -> tuple[int, int]:
    """When a file was last changed, and its size."""
    found = file.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=2)
def _load(name: str, place: Path, dtype: str, where: torch.device, files: tuple) -> Backbone:
    """`load`. files: name, time and size of each file of a folder, so that one that has changed is another call."""
    source = str(place) if place.is_dir() or name in SHIPPED else name
    try:
        if not place.is_dir() and (name[:1] in (".", "/", "~") or name.count("/") > 1):  # not a hub id
            raise ValueError("there is no such folder")
        config = _config(source)
        read = partial(_network, source, config, DTYPES[dtype], where)
        if name in SHIPPED:  # these are known to be whole
            weights = _weights(place, DTYPES[dtype])
        else:
            model = read()
            read, weights = (lambda: model), model.state_dict()
        tokenizer = _tokenizer(source, config)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        told = textwrap.shorten((str(error) or type(error).__name__).splitlines()[0], 120, placeholder=" ...")
        if isinstance(error, OSError) and not place.is_dir():
            told = f"there is no such folder here, and no such model on the hub, or it cannot be reached: {told}"
        raise ValueError(f"no T5 backbone {name!r} ({told}); "
                         f"allowed: {', '.join(SHIPPED)}, a local folder with a T5 and its tokenizer, "
                         "or a hub id that is cached or can be reached") from None
    fingerprint = _fingerprint(weights, tokenizer, None if name in SHIPPED else config)
    return Backbone(name, config, tokenizer, where, fingerprint, read)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the library's progress bars and its warnings.

    The head of T5 v1.1 is untied, as it should be; the library would warn of that at every load.
    """
    quiet, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(quiet)
        if bars:
            logging.enable_progress_bar()


@_quietly()
def _config(source: str) -> transformers.T5Config:
    """The configuration of a T5, from a folder or the hub. Raises ValueError if it is of something else."""
    kind = transformers.T5Config.get_config_dict(source)[0].get("model_type")
    if kind is None:
        raise ValueError("it has no config.json of a model")
    if kind != "t5":
        raise ValueError(f"it is a model of type {kind}")
    config = transformers.T5Config.from_pretrained(source)
    # Not every saved configuration has this number; a T5 starts with the padding token.
    if getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = config.pad_token_id
    if config.dense_act_fn == "gelu_new":  # the same function, fused: a fifth less time on a CPU
        config.dense_act_fn = "gelu_pytorch_tanh"
    if config.pad_token_id != 0:
        raise ValueError(f"its padding token is {config.pad_token_id}, and 0 is needed")
    return config


@_quietly()
def _network(source: str, config: transformers.T5Config, dtype: torch.dtype,
             where: torch.device) -> transformers.T5ForConditionalGeneration:
    """A frozen T5, from a folder or the hub. Raises ValueError if some of its weights are missing."""
    model, found = transformers.T5ForConditionalGeneration.from_pretrained(
        source, config=config, dtype=dtype, output_loading_info=True)
    lost = sorted(found["missing_keys"])  # the library draws these at random, anew at every load
    if model.lm_head.weight is model.shared.weight and not getattr(config, "scale_decoder_outputs", True):
        lost.append("lm_head.weight")  # T5 v1.1 has a head of its own; without one the library takes the embedding
    if lost:
        tied = "; a new model shares it with the embedding until it is given one" if "lm_head.weight" in lost else ""
        raise ValueError(f"{len(lost)} of its weights missing, such as {lost[0]}{tied}")
    # greedy decoding, whatever the folder's own file says
    model.generation_config = transformers.GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id, eos_token_id=config.eos_token_id, pad_token_id=0)
    return model.requires_grad_(False).eval().to(where)


def _weights(place: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights of a shipped backbone by the names in its network, which has the embedding once in each stack."""
    weights = {name: weight.to(dtype) for name, weight in load_file(place / "model.safetensors").items()}
    return weights | {f"{stack}.embed_tokens.weight": weights["shared.weight"] for stack in ("encoder", "decoder")}


@_quietly()
def _tokenizer(source: str, config: transformers.T5Config) -> transformers.PreTrainedTokenizerBase:
    """Its tokenizer. Raises ValueError if it does not know English, or has more tokens than the network."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    # If a folder has no tokenizer, the library makes an empty one.
    if tokenizer.unk_token_id in tokenizer(PROBE).input_ids:
        raise ValueError("its tokenizer does not know plain English, or is missing")
    if len(tokenizer) > config.vocab_size:
        raise ValueError(f"its tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}")
    return tokenizer


def _fingerprint(weights: Mapping[str, Tensor], tokenizer, config: transformers.T5Config | None) -> str:
    """16 digits of a hash of weights and vocabulary and, if `config` is given, of configuration and tokenizer.

    It is not given for shipped backbones: these do not change, and all that is archived names them without it.
    """
    digest = hashlib.sha256()
    for key, value in sorted(weights.items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    digest.update(repr(sorted(tokenizer.get_vocab().items())).encode())
    if config:
        digest.update(repr([(name, getattr(config, name, None)) for name in COMPUTES]).encode())
        rules = getattr(tokenizer, "backend_tokenizer", None)  # a tokenizer in Python has none
        digest.update(_rules(rules).encode() if rules else repr(type(tokenizer)).encode())
    return digest.hexdigest()[:16]


def _rules(tokenizer) -> str:
    """All rules of a fast tokenizer as JSON, without truncation and padding, which change with every call."""
    rules = json.loads(tokenizer.to_str())
    return json.dumps({k: v for k, v in rules.items() if k not in ("truncation", "padding")}, sort_keys=True)
