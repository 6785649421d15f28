"""The small English world behind the embedded default: its lexicon and the few rules of grammar that all texts share.

The stand-in tasks (`unidelta.sources.embedded`) and the pre-training text (`unidelta.world.corpus`) both draw from
here. No prompt and no whole row of a stand-in occurs in pre-training; facts and short sentences do
(`unidelta.report.understanding.met` counts them).
"""
import random
import tomllib

from unidelta import ROOT

LEXICON = ROOT / "data" / "embedded" / "lexicon.toml"
W = tomllib.loads(LEXICON.read_text(encoding="utf-8"))

PEOPLE = W["people"]["male"] + W["people"]["female"]
KIND_OF = {thing: kind for kind, things in W["kinds"].items() for thing in things}
# what one can buy, sell, carry, find or close: no animals, and no metals, which fit no sentence that needs a count noun
THINGS = [thing for thing, kind in KIND_OF.items() if kind not in ("metal", "animal")]
SENSES = W["senses"]


def a(phrase: str) -> str:
    """The phrase with its indefinite article."""
    return ("an " if phrase[0].lower() in "aeiou" and not phrase.startswith("use") else "a ") + phrase


def cap(text: str) -> str:
    return text[0].upper() + text[1:]


def draw(rng: random.Random, pool, n: int, without=()) -> list:
    """Draw n different members of the pool, none of them in `without`."""
    return rng.sample([x for x in pool if x not in without], n)


def gender(name: str) -> str:
    return "male" if name in W["people"]["male"] + W["people"]["he"] else "female"


def adjective(rng: random.Random, good: bool, domain: str) -> str:
    """Draw a judging adjective of one polarity; domain is `film` or `item`."""
    side = "good" if good else "bad"
    return rng.choice(W["opinion"][f"{domain}_{side}"] + W["opinion"][f"any_{side}"])
