"""What a name, a size or a seed may be. A wrong one is told in one line that says what is allowed."""

from collections.abc import Iterable

SEEDS = range(2**31)  # allowed seeds of a run; generators are seeded with multiples of them


def known(word: object, allowed: Iterable[str], what: str) -> None:
    """Raise ValueError unless `word` is one of the names `allowed`. The message begins with `what`: "unknown delta"."""
    if not isinstance(word, str) or word not in allowed:
        raise ValueError(f"{what} {word!r}; allowed: {', '.join(allowed)}")


def whole(name: str, value: object, least: int = 1) -> None:
    """Raise ValueError unless `value` is a whole number from `least`. The message calls it `name`."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name}={value!r} is not allowed; allowed: whole numbers from {least}")


def seeds(value: object) -> None:
    """Raise ValueError unless `value` is a list (or another sequence) of at least one whole number in SEEDS."""
    if isinstance(value, str) or not hasattr(value, "__getitem__"):
        raise ValueError(f"seeds={value!r} is not a list; allowed: a list of whole numbers from 0 to {SEEDS[-1]}")
    if not len(value):
        raise ValueError("no seeds given; allowed: a list of at least one")
    if bad := [seed for seed in value if type(seed) is not int or seed not in SEEDS]:
        raise ValueError(f"seed {bad[0]!r} is not allowed; allowed: whole numbers from 0 to {SEEDS[-1]}")
