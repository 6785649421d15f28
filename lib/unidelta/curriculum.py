"""What the embedded backbone is pre-trained on: the recipe, the tokenizer, and items drawn from generated text.

The objective is T5's: plain text with masked spans, mixed with skills cast as text to text. The targets of both begin
with the sentinel `<extra_id_0>`, as those of the tasks do (target = "<extra_id_0>" + answer).
"""

import random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from unidelta.sources.embedded import CLASSES
from unidelta.world import corpus, skills

SENTINELS = [f"<extra_id_{i}>" for i in range(8)]
RECIPE = dict(
    seed=0,
    d_model=64, num_layers=2, num_heads=4, d_ff=168,   # T5 v1.1: gated GELU, untied head
    vocabulary=2560,           # byte-level BPE: any text can be encoded
    steps=50000, batch=64,     # one step = `batch` items of about 40 tokens
    schedule=[                 # from this step on -> how items are drawn; what is not named stays as it was
        [0, dict(dressed=0.2, renamed=0.0, worded=False, drill=None, drilled=0.75)],
        [4000, dict(dressed=0.7, drill="paraphrase")],
        [8000, dict(drill="deal")],
        [10000, dict(drill="relation")],
        [11500, dict(drill=None, worded=True)],
        [17000, dict(drill="paraphrase", drilled=0.3)],
        [22000, dict(drill="agreement")],
        [24000, dict(drill=None, renamed=0.35)],
    ],
    lr=3e-3, warmup=300, falling_from=31000,   # AdamW: flat, then linear to zero
    text_share=0.2,            # plain text with masked spans; the rest are skills
)


def make_tokenizer(vocabulary: int, seed: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE over generated text; `<pad>` 0, `</s>` 1, `<unk>` 2, then eight sentinels."""
    rng = random.Random(f"tokenizer/{seed}")
    lines = [corpus.text(rng) for _ in range(8000)] + [" ".join(skills.skill(rng)[1:]) for _ in range(16000)]
    # the names of the tasks and the label words stand in every prompt: give them whole tokens
    lines += 60 * [" ".join(f"[{name}]" for name in CLASSES) + " " + " ".join(corpus.WORDS)]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.decoder = decoders.ByteLevel()
    special = ["<pad>", "</s>", "<unk>", *SENTINELS]
    core.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    core.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
                                   extra_special_tokens=SENTINELS, model_max_length=512)


def mask_spans(text: str, rng: random.Random) -> tuple[str, str]:
    """Return (text with masked spans, target): T5's span corruption on whole words.

    About 15 to 20 % of the words are masked, never more than half, in one to three spans of one to three words.
    """
    words, target = text.split(), []
    starts = sorted(rng.sample(range(0, len(words), 4), min(len(words) // 8 + 1, 3)))
    room = len(words) // 2
    for i, start in reversed(list(enumerate(starts))):
        stop = start + min(rng.choice([1, 1, 2, 3]), room - i)  # leaves room for a word in every span still to come
        room -= stop - start
        target.insert(0, f"{SENTINELS[i]} {' '.join(words[start:stop])}")
        words[start:stop] = [SENTINELS[i]]
    return " ".join(words), " ".join(target)


def mixture(step: int, recipe: dict) -> dict:
    """How the items of a step are drawn: the changes of `recipe["schedule"]` up to that step."""
    return {k: v for begin, change in recipe["schedule"] if begin <= step for k, v in change.items()}


def item(rng: random.Random, text_share: float, dressed: float = 0.7, renamed: float = 0.0, worded: bool = True,
         drill: str | None = None, drilled: float = 0.0) -> tuple[str, str, str]:
    """Draw one pre-training example, (kind, input, target).

    A share `text_share` is plain text. Of the other items, the skills', a share `drilled` is of the skill `drill`.
    """
    if rng.random() < text_share:
        return "text", *mask_spans(corpus.text(rng), rng)
    wanted = drill if drill and rng.random() < drilled else None
    name, question, answer = skills.skill(rng, wanted, dressed, renamed, worded)
    return name, question, "<extra_id_0> " + answer


def collate(tokenizer, pairs: list[tuple[str, str]]) -> dict[str, torch.Tensor]:
    """input_ids, attention_mask, labels (-100 where padded), each (rows, longest)."""
    source = tokenizer([s for s, _ in pairs], padding=True, return_tensors="pt")
    labels = tokenizer([t for _, t in pairs], padding=True, return_tensors="pt")
    return {"input_ids": source["input_ids"], "attention_mask": source["attention_mask"],
            "labels": labels["input_ids"].masked_fill(labels["attention_mask"] == 0, -100)}


def batches(tokenizer, recipe: dict, start: int):
    """Yield the batches from step `start` to beyond the recipe's last step.

    The items of a step depend on the recipe and the step alone, so that a resumed run sees what it would have seen.
    """
    pool = 8  # batches drawn together, then divided by objective and length, which saves most of the padding
    for block in range(start // pool, recipe["steps"] // pool + 1):
        rng = random.Random(f"pretrain/{recipe['seed']}/{block}")
        mixed = mixture(block * pool, recipe)
        drawn = [item(rng, recipe["text_share"], **mixed)[1:] for _ in range(pool * recipe["batch"])]
        drawn.sort(key=lambda p: ("<extra_id_0>" in p[0], len(p[0])))
        groups = [drawn[i:i + recipe["batch"]] for i in range(0, len(drawn), recipe["batch"])]
        rng.shuffle(groups)
        for group in groups[start % pool if block == start // pool else 0:]:
            yield collate(tokenizer, group)
