"""Tokenised rows, made once per tokenizer and memory mapped from compact files: sixty large tasks need little memory.

    <root of the store>/.tokens/<task>-<source>-<part>-<key>-<checksum>.arrow

A file holds the rows of one part in an order of its own (by hash), so that seeds which shuffle the same rows share it.
Its columns are `inputs` and `labels` (ragged token numbers) and `targets` (reference answers). Its name has a hash of
everything that determines it, tokenizer and rows included, and the checksum of its bytes. It is written under a
temporary name and renamed, so that two writers leave the same file. A file that is truncated, altered or foreign is
deleted and made again. Where nothing can be written, the rows stay in memory.
"""

import hashlib
import json
import logging
import os
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import datasets
import numpy as np
import pyarrow
import tokenizers

from unidelta import files

logger = logging.getLogger(__name__)
BATCH = 1000  # rows held as Python objects at a time


class Rows(Sequence):
    """A column of a file in our order of rows. Rows are read only when asked for, and a slice copies nothing."""

    def __init__(self, column: pyarrow.Array, places: np.ndarray):
        self.column, self.places = column, places  # our row r is row places[r] of the column

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, at):
        if isinstance(at, slice):
            return type(self)(self.column, self.places[at])
        return self._row(int(self.places[at]))


class Tokens(Rows):
    """Ragged rows of token numbers: one flat array (16 bits if the vocabulary allows) and where each row begins."""

    def __init__(self, column: pyarrow.Array, places: np.ndarray):
        super().__init__(column, places)
        self.starts, self.flat = column.offsets.to_numpy(), column.values.to_numpy()

    def _row(self, at: int) -> np.ndarray:
        return self.flat[self.starts[at]:self.starts[at + 1]]


class Answers(Rows):
    """Reference answers, a list of texts per row. It equals any sequence that holds the same lists."""

    def _row(self, at: int) -> list[str]:
        return self.column[at].as_py()

    def __eq__(self, other) -> bool:
        return (isinstance(other, Sequence) and len(self) == len(other)
                and all(a == b for a, b in zip(self, other, strict=True)))


@lru_cache(maxsize=4)
def fingerprint(tokenizer) -> str:
    """Hash of everything that decides how a text is tokenised.

    It covers the tokenizer's own serialisation, without the settings that a call leaves in it.
    """
    core = getattr(tokenizer, "backend_tokenizer", None)
    if core:
        parts = json.loads(core.to_str()) | {"truncation": None, "padding": None}
    else:
        parts = dict(sorted(tokenizer.get_vocab().items()))
    what = [type(tokenizer).__name__, tokenizer.truncation_side, tokenizers.__version__, parts]
    return files.text_sha256(files.canonical(what))[:16]


def encode(tokenizer, task: str, source: str, part: str, split: datasets.Dataset, max_length: int,
           root: Path) -> tuple[Tokens, Tokens, Answers]:
    """(inputs, labels, targets) of one part, in the order of `split`.

    An input is " [task] " + input, a label "<extra_id_0>" + first target; both are cut at max_length tokens. split: has
    the columns input and targets. root: folder of the store, below which the files are kept.
    """
    digests = []
    for rows in split.iter(BATCH):
        for row in zip(rows["input"], rows["targets"], strict=True):
            digests.append(hashlib.sha256(repr(row).encode()).digest())
    order = sorted(range(len(digests)), key=digests.__getitem__)
    config = {"tokenizer": fingerprint(tokenizer), "task": task, "source": source, "part": part,
              "max_length": max_length, "rows": hashlib.sha256(b"".join(digests[i] for i in order)).hexdigest()}
    stem = re.sub(r"[^A-Za-z0-9._+-]+", "-", f"{task}-{source}-{part}") + f"-{files.key(config)}"
    table = _find(root / ".tokens", stem, config)
    if table is None:
        table = _save(root / ".tokens", stem, config, _tokenise(tokenizer, task, split.select(order), max_length))
    places = np.argsort(order).astype(np.int32)
    inputs, labels, targets = (table[name].chunk(0) for name in ("inputs", "labels", "targets"))
    return Tokens(inputs, places), Tokens(labels, places), Answers(targets, places)


def _tokenise(tokenizer, task: str, split: datasets.Dataset, max_length: int) -> pyarrow.Table:
    number = pyarrow.uint16() if len(tokenizer) <= 2**16 else pyarrow.int32()
    ragged = pyarrow.large_list(number)
    schema = pyarrow.schema({"inputs": ragged, "labels": ragged, "targets": pyarrow.large_list(pyarrow.large_string())})

    def numbers(texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]

    batches = []
    for rows in split.iter(BATCH):
        inputs = [f" [{task}] {text}" for text in rows["input"]]
        labels = [f"<extra_id_0>{answers[0]}" for answers in rows["targets"]]
        columns = {"inputs": numbers(inputs), "labels": numbers(labels), "targets": rows["targets"]}
        batches.append(pyarrow.record_batch(columns, schema=schema))
    return pyarrow.Table.from_batches(batches).combine_chunks()


def _find(folder: Path, stem: str, config: dict) -> pyarrow.Table | None:
    """The sound file of that name, memory mapped, or None. A file that is not sound is deleted, with a warning."""
    for file in sorted(folder.glob(f"{stem}-*.arrow")):
        try:
            if files.sha256(file)[:16] != file.stem.removeprefix(f"{stem}-"):
                raise ValueError("checksum differs")
            table = pyarrow.ipc.open_file(pyarrow.memory_map(str(file))).read_all()
            if (table.schema.metadata or {}).get(b"config") != files.canonical(config).encode():
                raise ValueError("it was made from other rows or settings")
            return table
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            logger.warning("%s is not usable (%s): tokenising its rows again", file, error)
            with suppress(OSError):
                file.unlink()
    return None


def _save(folder: Path, stem: str, config: dict, table: pyarrow.Table) -> pyarrow.Table:
    """Save the table and return it memory mapped, or as it is, with a warning, if the folder cannot be written."""
    table = table.replace_schema_metadata({"config": files.canonical(config)})
    partial = folder / f"{uuid.uuid4().hex}.tmp"
    try:
        files.folder(folder)
        with pyarrow.ipc.new_file(str(partial), table.schema) as writer:
            writer.write_table(table)
        files.fsync(partial)
        os.replace(partial, folder / f"{stem}-{files.sha256(partial)[:16]}.arrow")
    except OSError as error:
        logger.warning("%s cannot be written (%s): the rows stay in memory", folder, error)
        return table
    finally:  # not there if all went well; there after an error, or an interrupt
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return _find(folder, stem, config) or table
