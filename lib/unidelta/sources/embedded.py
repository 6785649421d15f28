"""Stand-ins for the paper's tasks, generated from a small grammar in the columns of the real data sets on the hub.

A stand-in shares a task's name, columns, label words and therefore its CrossFit prompt (the same formatter serves hub,
mirror and stand-in), never its rows. Every table and caption that rests on one says so; book/choices.md tells how the
suite was fixed. The grammars are in `unidelta.world`: `sentence`, `pair`, `choice` and `text` each have a table
task -> (generator (rng, class index) -> row, number of classes or options to keep in balance).
"""
import random
from functools import lru_cache

from unidelta import checks
from unidelta.sources import own
from unidelta.world import choice, pair, sentence, text

SIZES = {"train": 1000, "validation": 250, "test": 250}
STAND_INS = sentence.STAND_INS | pair.STAND_INS | choice.STAND_INS | text.STAND_INS
# The stand-ins whose names the backbone's tokenizer was trained on (`unidelta.pretrain`). The vocabulary is frozen with
# data/backbone, so this list does not grow with the suite.
CLASSES = {name: STAND_INS[name][1] for name in """
glue-sst2 rotten_tomatoes amazon_polarity glue-mnli scitail superglue-rte glue-qqp glue-mrpc superglue-wic superglue-wsc
dream codah quartz-no_knowledge superglue-copa qasc ai2_arc blimp-anaphor_number_agreement
""".split()}


def names() -> list[str]:
    """The tasks that have a stand-in."""
    return list(STAND_INS)


def raw(name: str, split: str, seed: int = 0) -> list[dict]:
    """Rows of one split in the hub's own columns, without a row in common with another split.

    All splits together are balanced over classes, and each is up to chance.

    Raises ValueError for a task without a stand-in and for a split other than train, validation, test.
    """
    if name not in STAND_INS:
        hint = "; rows of a task of one's own are read from a mirror" if name in own.ADDED else ""
        raise ValueError(f"no embedded stand-in for task {name!r}; there is one for: {', '.join(names())}{hint}")
    checks.known(split, SIZES, "no split")
    checks.whole("seed", seed, least=0)
    start = sum(list(SIZES.values())[:list(SIZES).index(split)])
    return list(_rows(name, seed)[start:start + SIZES[split]])


@lru_cache(maxsize=128)
def _rows(name: str, seed: int) -> list[dict]:
    """The rows of all splits, one after the other.

    Raises ValueError if the grammar cannot make so many different rows.
    """
    generator, classes = STAND_INS[name]
    rng, rows, seen, wanted = random.Random(f"{name}/{seed}"), [], set(), sum(SIZES.values())
    for _ in range(20 * wanted):
        row = generator(rng, len(rows) % classes)
        if repr(row) not in seen:
            seen.add(repr(row))
            rows.append(row)
        if len(rows) == wanted:
            rng.shuffle(rows)
            return rows
    raise ValueError(f"the stand-in of {name} makes {len(rows)} different rows at most, and {wanted} are wanted")
