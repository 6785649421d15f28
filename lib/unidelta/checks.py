"""What a name, a size or a seed may be. A wrong one is told in one line that says what is allowed."""

from collections.abc import Collection, Iterable

SEEDS = range(2**31)  # allowed seeds of a run; generators are seeded with multiples of them


def known(word: object, allowed: Iterable[str], what: str) -> None:
    """Raise ValueError unless `word` is one of the names `allowed`. The message begins with `what`: "unknown delta"."""
    if not isinstance(word, str) or word not in allowed:
        raise ValueError(f"{what} {word!r}; allowed: {', '.join(allowed)}")


def whole(name: str, value: object, least: int = 1) -> None:
    """Raise ValueError unless `value` is a whole number from `least`. The message calls it `name`."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name}={value!r} is not allowed; allowed: whole numbers from {least}")


def some(name: str, value: object) -> None:
    """Raise ValueError unless `value` is a list, or another collection in order, of at least one.

    The message calls it `name`. A string is none: its letters would be taken for names."""
    if isinstance(value, (str, set, frozenset)) or not isinstance(value, Collection) or not len(value):
        raise ValueError(f"{name}={value!r} is not allowed; allowed: a list of at least one")


def seeds(value: object) -> None:
    """Raise ValueError unless `value` is a list of at least one whole number in SEEDS."""
    some("seeds", value)
    if bad := [seed for seed in value if type(seed) is not int or seed not in SEEDS]:
        raise ValueError(f"seed {bad[0]!r} is not allowed; allowed: whole numbers from 0 to {SEEDS[-1]}")
