"""Losses and scores of whole stacks of solutions: each row group of a batch belongs to one solution."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import DynamicCache, EncoderDecoderCache

from unidelta import checks, tasks
from unidelta.backbone import Backbone
from unidelta.data import Encoded, TaskData, pad
from unidelta.deltas import applied

SPLITS = ("dev", "test")
CELLS_AT_ONCE = 2**24  # rows * tokens * d_model decoded together: 64 tokens in 4,096 rows if d = 64, in 341 if d = 768


def losses(model: nn.Module, batch: dict[str, Tensor], groups: int) -> Tensor:
    """L_task of each row group of a batch of this T5: token-mean cross-entropy, (groups,). Call inside `applied`.

    Raises ValueError if the rows cannot be shared out.
    """
    labels = batch["labels"]
    if groups < 1 or len(labels) % groups:
        raise ValueError(f"{len(labels)} rows cannot be shared by {groups} groups")
    # Given labels, T5 would compute a loss of its own; and it would keep keys and values for tokens to come.
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False,
                   decoder_input_ids=model.prepare_decoder_input_ids_from_labels(labels)).logits
    each = cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100, reduction="none")
    each, counted = each.view(groups, -1), (labels != -100).view(groups, -1)
    return each.sum(1) / counted.sum(1)


def pieces(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Row numbers by ascending length, cut into pieces of at most `tokens` tokens, but of at least one row.

    A piece is counted as padded to its longest row.
    """
    piece: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if piece and (len(piece) + 1) * lengths[row] > tokens:
            yield piece
            piece = []
        piece.append(row)
    if piece:
        yield piece


@torch.inference_mode()
def predict(backbone: Backbone, entries: Sequence[tuple], splits: Sequence[Encoded],
            longest: Sequence[int]) -> list[list[str]]:
    """Greedy answers of every solution on its own split, stripped of the leading sentinel.

    entries: [(delta, theta (K, N)), ...] as for `applied` (an empty list is the untuned backbone, with one split).
    splits: one per solution, in the same order. longest: the most tokens that each solution may answer with, whatever
    it is stacked with. Raises ValueError if the splits differ in length, or if splits and `longest` are not one for
    each solution.
    """
    if not splits or len(splits) != len(longest):
        raise ValueError(f"{len(splits)} splits with {len(longest)} lengths of answers: "
                         "give every solution one of each")
    rows, groups = len(splits[0]), len(splits)
    if any(len(s) != rows for s in splits):
        raise ValueError("the splits of a stack must have equal lengths: give them the same cap")
    lengths = [max(len(split.inputs[r]) for split in splits) for r in range(rows)]
    answers: list[list[str]] = [[""] * rows for _ in splits]
    with applied(backbone.model, entries):
        solutions = sum(theta.ndim == 1 or len(theta) for _, theta in entries) or 1
        if solutions != groups:
            raise ValueError(f"{solutions} solutions and {groups} splits: give every solution its own")
        for some in pieces(lengths, CELLS_AT_ONCE // (groups * backbone.config.d_model)):
            ids = pad([split.inputs[r] for split in splits for r in some], 0).to(backbone.device)
            out = backbone.model.generate(
                input_ids=ids, attention_mask=(ids != 0).long(),
                max_new_tokens=max(longest), do_sample=False, num_beams=1,
                # the cache that `generate` makes by itself has as many layers as the encoder
                past_key_values=EncoderDecoderCache(DynamicCache(), DynamicCache()))
            for mine, most, rows_of_one in zip(answers, longest, out.split(len(some)), strict=True):
                # one more than `most`: the first token only starts the answer
                texts = backbone.tokenizer.batch_decode(rows_of_one[:, :1 + most], skip_special_tokens=True)
                for r, text in zip(some, texts, strict=True):
                    mine[r] = text.strip()
    return answers


def scores(backbone: Backbone, entries: Sequence[tuple], data: Sequence[TaskData], split: str) -> list[float]:
    """Score every solution on `split` of its own task with that task's metric, in [0, 1].

    data: one task per solution, in the same order. Raises ValueError if there are more or fewer, or if `split` is not
    among SPLITS.
    """
    checks.known(split, SPLITS, "unknown split")
    parts = [getattr(d, split) for d in data]
    said = predict(backbone, entries, parts, [d.longest_answer for d in data])
    return [tasks.score(d.task, mine, part.targets) for d, mine, part in zip(data, said, parts, strict=True)]
