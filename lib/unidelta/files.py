"""Values and files that survive a kill: plain JSON, checksums, flushed writes, checkpoints replaced in one step."""

import hashlib
import json
import logging
import math
import os
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
UNSOUND = (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, KeyError, TypeError, AttributeError)


def plain(value: Any, where: str = "value", finite: bool = True) -> Any:
    """`value` in JSON types: tuples become lists, numpy and torch scalars and arrays become numbers and nested lists.

    Raises ValueError, naming the place, for what cannot be stored: other types, keys that are not strings, NaN and
    infinities. With `finite=False`, NaN and infinities become None instead.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        if not finite:
            return None
        raise ValueError(f"{where} is {value}: only finite numbers can be stored")
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{i}]", finite) for i, item in enumerate(value)]
    if isinstance(value, dict):
        if wrong := [name for name in value if not isinstance(name, str)]:
            raise ValueError(f"{where} has the key {wrong[0]!r}: keys must be strings")
        return {name: plain(item, f"{where}.{name}", finite) for name, item in value.items()}
    raise ValueError(f"{where} is a {type(value).__name__}: allowed are numbers, strings, None, lists, dicts, arrays")


def canonical(value: Any) -> str:
    """The same text for equal contents: JSON with sorted keys and no blanks, floats by repr (so 1 and 1.0 differ)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def key(config: dict) -> str:
    """The first 12 hexadecimal digits of the sha256 of the canonical config."""
    return hashlib.sha256(canonical(plain(config, "config")).encode()).hexdigest()[:12]


def save_checkpoint(path: Path, tensors: dict, state: dict) -> None:
    """Replace the checkpoint in folder `path` in one step; `state` is JSON (step, scores, ...). One writer only."""
    from safetensors.torch import save_file
    tensors = detached(tensors)
    text = json.dumps(state)
    file = folder(Path(path)) / "checkpoint.safetensors"
    partial = file.with_suffix(".tmp")
    save_file(tensors, partial, {"state": text, "sha256": _digest(tensors, text)})
    fsync(partial)
    os.replace(partial, file)
    fsync(file.parent)


def load_checkpoint(path: Path) -> tuple[dict, dict] | None:
    """(tensors, state) of the checkpoint in folder `path`; None if it is missing or (with a warning) corrupt."""
    from safetensors import SafetensorError, safe_open
    file = Path(path) / "checkpoint.safetensors"
    if not file.exists():
        return None
    try:
        with safe_open(file, "pt") as opened:
            meta = opened.metadata()
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        if meta["sha256"] != _digest(tensors, meta["state"]):
            raise ValueError("checksum differs")
        return tensors, json.loads(meta["state"])
    except (SafetensorError, *UNSOUND) as error:
        logger.warning("checkpoint %s is not usable (%s): starting from the beginning", file, error)
        return None


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def detached(tensors: dict) -> dict:
    """Contiguous copies on the CPU, without gradients: what safetensors can write.

    Raises ValueError for what is no tensor.
    """
    if wrong := [name for name, tensor in tensors.items() if not hasattr(tensor, "detach")]:
        raise ValueError(f"{wrong[0]} is a {type(tensors[wrong[0]]).__name__}; allowed: tensors")
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def write(file: Path, text: str) -> None:
    """Write a text file, or replace it, in one step: what is there is always whole."""
    partial = file.with_name(f"{file.name}.tmp")
    partial.write_text(text, encoding="utf-8")
    fsync(partial)
    os.replace(partial, file)


def fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(tensors: dict, text: str) -> str:
    import torch
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
