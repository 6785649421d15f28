"""What the stand-ins share: a scene of drawn words, answer options, facts with wrong answers, one change in a frame."""
import random
from types import SimpleNamespace

from unidelta.world import PEOPLE, THINGS, W, draw

POOLS = W["scene"] | W["cause"] | {name: W["nature"][name] for name in ("creature", "makes", "used", "relation")} | {
    "name": PEOPLE, "man": W["people"]["male"], "woman": W["people"]["female"], "job": W["people"]["job"],
    "family": W["people"]["family"], "thing": THINGS, "kind": list(W["kinds"])}

EVENTS = [pair for pair in W["cause"]["event"] if "{p}" in pair[1]]  # what happens to the person, not to a thing


def scene(rng: random.Random) -> SimpleNamespace:
    """Draw three different members of every pool of the lexicon: s.city, s.city2, s.city3, s.creature, ..."""
    return SimpleNamespace(**{name + tail: member for name, pool in POOLS.items()
                              for tail, member in zip(("", "2", "3"), rng.sample(pool, 3), strict=True)})


def options(rng: random.Random, right: str, wrong: list[str], at: int) -> list[str]:
    """Return the wrong answers in random order, with the right one at position `at`."""
    wrong = list(wrong)
    rng.shuffle(wrong)
    return wrong[:at] + [right] + wrong[at:]


def facts(rng: random.Random) -> tuple[str, str, list[str]]:
    """Ask for a fact of nature that pre-training states in plain sentences: (question, right answer, wrong answers)."""
    column, ask = rng.choice([(1, "What do {} eat?"), (2, "Where do {} live?"), (3, "What do we get from {}?")])
    table, key, value = rng.choice([(W["nature"]["creature"], ask, column),
                                    (W["nature"]["makes"], "What does {} make?", 1),
                                    (W["nature"]["used"], "What is {} good for?", 1)])
    rows = draw(rng, table, 8)
    return key.format(rows[0][0]), rows[0][value], [r[value] for r in rows[1:]]


def one_changed(rng: random.Random, frame: dict, pools: dict) -> dict:
    """Return the frame with one slot replaced by another member of its pool."""
    slot = rng.choice(list(pools))
    return frame | {slot: draw(rng, pools[slot], 1, [frame[slot]])[0]}
