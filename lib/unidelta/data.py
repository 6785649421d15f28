"""Tokenised tasks and the order in which their rows are seen.

Every row of every task is text to text: " [task] " + input, and "<extra_id_0>" + answer (the released code's format).
The order of rows is a function of (task, seed, step), of how many rows the task has and how many a step takes. It
depends neither on what a solution is stacked with nor on where a run was resumed.
"""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from unidelta import tasks, tokens
from unidelta.backbone import Backbone
from unidelta.sources import mirror as mirrors


@dataclass(frozen=True)
class Encoded:
    """One split: `inputs` and `labels` are ragged rows of token numbers, `targets` the reference answers.

    A row of labels ends with </s>. Rows are read from the files of `unidelta.tokens` when they are asked for.
    """

    inputs: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]
    targets: Sequence[list[str]]

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def mean_length(self) -> float:
        """Mean number of tokens of an input."""
        return sum(map(len, self.inputs)) / len(self)

    @cached_property
    def longest_answer(self) -> int:
        """Number of tokens of the longest answer, its </s> included."""
        return max(map(len, self.labels))


@dataclass(frozen=True)
class TaskData:
    """A task's three splits and `fingerprint`, a hash of every formatted row, which names the data in each artifact.

    In that of a task of one's own are also its metric and answers, which may change while its rows stay.
    A `head` keeps the fingerprint of the whole task.
    """

    task: str
    train: Encoded
    dev: Encoded
    test: Encoded
    fingerprint: str

    @cached_property
    def longest_answer(self) -> int:
        """Number of tokens of the longest answer in any part.

        Evaluation must decode this far, and the answers of a batch may get this wide.
        """
        return max(part.longest_answer for part in (self.train, self.dev, self.test))

    @cached_property
    def longest_input(self) -> int:
        """Number of tokens of the longest training input: how wide a batch may get."""
        return max(len(row) for row in self.train.inputs)

    def head(self, rows: int | None, part: str = "test") -> "TaskData":
        """The same task with only the first `rows` rows of its test or dev part (None: all)."""
        if rows is None:
            return self
        whole = getattr(self, part)
        return replace(self, **{part: Encoded(whole.inputs[:rows], whole.labels[:rows], whole.targets[:rows])})


_CACHE: dict[tuple, tuple[tasks.Task, TaskData]] = {}


def load(backbone: Backbone, task: str, source: str, mirror: str | None, seed: int, caps: dict, max_length: int,
         root: Path, report_on: str = "test") -> TaskData:
    """Load, format and tokenise a task (inputs cut at max_length tokens; the released recipe's setting is 512).

    root: folder of the store, below which tokens are kept. A task is read once in a process.
    """
    place = mirrors.root(mirror) if source == "mirror" else None  # the environment, which may change, can name it
    key = (backbone.fingerprint, task, source, place, seed, tuple(caps.items()), max_length, report_on)
    # A task of one's own may be added again, with other rows.
    if key not in _CACHE or _CACHE[key][0] is not tasks.get(task):
        splits = tasks.load(task, source=source, mirror=mirror, seed=seed, caps=caps, report_on=report_on)
        parts = [Encoded(*tokens.encode(backbone.tokenizer, task, source, part, splits[part], max_length, root))
                 for part in tasks.PARTS]
        _CACHE[key] = tasks.get(task), TaskData(task, *parts, fingerprint=_fingerprint(splits, tasks.scored_by(task)))
    return _CACHE[key][1]


def _fingerprint(splits, scored_by: str) -> str:
    """First 16 digits of the sha256 of repr([(part, inputs, targets), ...]) and of `scored_by`.

    The text is written piece by piece, because that of long documents is too much to hold at once. It must stay the
    same, because every stored artifact names its data by this hash.
    """
    digest = hashlib.sha256()
    mark = "[("
    for part in tasks.PARTS:
        digest.update(f"{mark}{part!r}".encode())
        for column in ("input", "targets"):
            mark = ", ["
            for batch in splits[part].select_columns(column).iter(tokens.BATCH):
                digest.update((mark + repr(batch[column])[1:-1]).encode())
                mark = ", "
            digest.update(b"]")
        mark = "), ("
    digest.update(f")]{scored_by}".encode())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=512)
def _permutation(n: int, key: int, epoch: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=[key, epoch])).permutation(n)


def rows_of_step(n: int, task: str, seed: int, step: int, batch: int) -> list[int]:
    """Row numbers of one step: consecutive pieces of one shuffle per epoch, wrapping around."""
    key = zlib.crc32(f"{task}/{seed}".encode())
    return [int(_permutation(n, key, p // n)[p % n]) for p in range(step * batch, (step + 1) * batch)]


def tasks_of_step(tasks: int, seed: int, step: int, draws: int) -> list[tuple[int, int]]:
    """(training task, its own step) of each draw of a step, so that the rows of all tasks are blended (appendix A.2).

    Every round goes through the tasks once, in an order of its own, so that all tasks get equally many rows.
    """
    return [(t, (step * draws + r) // tasks) for r, t in enumerate(rows_of_step(tasks, "blend", seed, step, draws))]


def pad(rows: Sequence[np.ndarray], value: int) -> Tensor:
    """Ragged rows as one (rows, longest) int64 tensor."""
    return pad_sequence([torch.from_numpy(row.astype(np.int64)) for row in rows], batch_first=True, padding_value=value)


def collate(pieces: Sequence[tuple[Encoded, Sequence[int]]], device: torch.device) -> dict[str, Tensor]:
    """Rows of several splits as one batch: input_ids, attention_mask and labels (-100 is padding).

    The batch is padded to its own longest row.
    """
    ids = pad([split.inputs[r] for split, rows in pieces for r in rows], 0)
    labels = pad([split.labels[r] for split, rows in pieces for r in rows], -100)
    return {"input_ids": ids.to(device), "attention_mask": (ids != 0).long().to(device), "labels": labels.to(device)}
