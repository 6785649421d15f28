"""From a row in the hub's own columns to CrossFit's text-to-text form, faithful to the byte.

Tasks share a few shapes: a row of data/tasks.tsv says in a small notation what a task needs.

input    text with {column}, {struct.column}, {column|filter|filter}; a list of words is joined by blanks; {options}
         stands for the lettered answer options, " (A) first (B) second"
options  where these come from: a list column, several columns, or a struct of `text` and `label`
target   a rule and its column: `label` (class number -> label word), `word` (already a label word), `text`, `list`
         (several references), `first` (of a list), or which option is right: `number`, `number-from-1`, `letter`, `key`
shape    a step that computes further columns, drops rows as CrossFit does, or changes how the input is put together
"""
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from unidelta.sources.registry import Task

Row = tuple[str, list[str]]  # (input, targets): at least one target


class FormatError(ValueError):
    """A value that cannot be formatted: (column, why)."""


def clean(text: str) -> str:
    """CrossFit's `clean`: every run of white space, and every backslash-n spelt out, becomes one blank."""
    return " ".join(text.strip().replace("\\n", " ").split())


FILTERS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "clean": clean,
    "oneline": lambda s: s.replace("\n", " "),
    "nobreaks": lambda s: s.replace("\n", " ").replace("\r", " ").replace("\t", " "),
    "unescape": lambda s: s.replace("\\n", " "),
    "mask": lambda s: s.replace("<mask>", "[MASK]"),
    "squeeze": lambda s: s.replace(" ", "").lower(),
    "untitled": lambda s: s.removeprefix("Intermediate  "),
}


# --- values, checked -------------------------------------------------------------------------------------------------
def get(row: dict, column: str, kind: type | tuple[type, ...]) -> Any:
    """row["a"]["b"] for column "a.b"; of a list of structs, the list of their values.

    Raises FormatError for a missing column and for a value of another type than `kind`.
    """
    value: Any = row
    for key in column.split("."):
        if isinstance(value, list) and all(isinstance(item, dict) and key in item for item in value):
            value = [item[key] for item in value]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            raise FormatError(column, "is missing")
    if not isinstance(value, kind):
        wanted = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise FormatError(column, f"should be {wanted}, is {type(value).__name__} ({value!r:.60})")
    return value


def text(row: dict, spec: str) -> str:
    """The text of "column|filter|filter"."""
    column, *filters = spec.split("|")
    value = get(row, column, (str, list))
    value = " ".join(strings(column, value)) if isinstance(value, list) else value
    for name in filters:
        value = FILTERS[name](value)
    return value


def strings(column: str, values: list) -> list[str]:
    """Texts and lists of texts as one list. Raises FormatError, naming the column, for anything else."""
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    for item in flat:
        if not isinstance(item, str):
            raise FormatError(column, f"should be a list of str, holds {item!r:.60}")
    return flat


# --- shapes: the columns they read, those they add, and how (None drops the row) -------------------------------------
def _majority(row: dict, rng) -> dict | None:
    (label, n), *others = Counter(get(row, "annotators.label", list) or [-1]).most_common(2)
    return None if others and others[0][1] == n else {"majority": label}


def _wellformed(row: dict, rng) -> dict | None:
    rating = get(row, "rating", (float, int))
    return None if 0.4 <= rating <= 0.6 else {"wellformed": int(rating > 0.6)}


def _minimal_pair(row: dict, rng) -> dict:
    """BLiMP: a coin, thrown for every row from one seeded generator, says which sentence comes first."""
    pair = [get(row, "sentence_good", str), get(row, "sentence_bad", str)]
    good = 0 if rng.random_sample() > 0.5 else 1
    return {"first": pair[good], "second": pair[1 - good], "good": good}


def _shuffled(row: dict, rng) -> dict | None:
    """SciQ: the right answer is shuffled among the distractors, again by one seeded generator."""
    if not get(row, "support", str):
        return None
    options = [get(row, c, str) for c in ("distractor1", "distractor2", "distractor3", "correct_answer")]
    rng.shuffle(options)
    return {"shuffled": options}


def _cloze(row: dict, rng) -> dict:
    return {"cloze": get(row, "template", str).replace("[X]", get(row, "sub_label", str)).replace("[Y]", "[MASK]")}


def _supporting(row: dict, rng) -> dict:
    """HotpotQA: the paragraphs that hold the supporting facts, in the order of the context."""
    wanted = get(row, "supporting_facts.title", list)
    pages = zip(get(row, "context.title", list), get(row, "context.sentences", list), strict=True)
    return {"supporting": " ".join("".join(sentences) for title, sentences in pages if title in wanted).strip()}


def inline(question: str) -> list[str]:
    """QuaRel's two options, which stand inside the question after (A) and (B).

    As in CrossFit, an "or " at the end is cut off: "(A) red or (B)" gives "red", but "(A) floor (B)" gives "flo".
    """
    a, b = question.find("(A)"), question.find("(B)")
    return [part.removesuffix("or ").strip() for part in (question[a + 4:b], question[b + 4:])]


def _inline(row: dict, rng) -> dict:
    return {"inline": inline(get(row, "question", str))[bool(get(row, "answer_index", int))]}


def _acronym(row: dict, rng) -> dict | None:
    """Sentences with one short form (tags B-short 1, I-short 3) and one long form (B-long 0, I-long 2)."""
    tokens, tags = get(row, "tokens", list), get(row, "labels", list)
    if tags.count(1) != 1 or tags.count(0) != 1:
        return None

    def span(begin: int, inside: int) -> str:
        start = end = tags.index(begin)
        while tags[end + 1:end + 2] == [inside]:
            end += 1
        return " ".join(tokens[start:end + 1])

    return {"short": span(1, 3), "long": span(0, 2)}


SHAPES: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[dict, Any], dict | None]]] = {
    "majority": (("annotators",), ("majority",), _majority),
    "wellformed": (("rating",), ("wellformed",), _wellformed),
    "minimal_pair": (("sentence_good", "sentence_bad"), ("first", "second", "good"), _minimal_pair),
    "shuffled": (("support", "distractor1", "distractor2", "distractor3", "correct_answer"), ("shuffled",), _shuffled),
    "cloze": (("template", "sub_label"), ("cloze",), _cloze),
    "supporting": (("supporting_facts", "context"), ("supporting",), _supporting),
    "inline": (("question", "answer_index"), ("inline",), _inline),
    "acronym": (("tokens", "labels"), ("short", "long"), _acronym),
}
FLAGS = ("nonempty", "cleaned", "tight")  # shapes that compute no column; see `render`
FIELD = re.compile(r"\{([^{}]+)\}")


def columns(task: Task) -> list[str]:
    """The columns of the source that the task needs."""
    # RACE also has a column called "options"
    shown = [f for f in FIELD.findall(task.input) if f != "options" or not task.options]
    used = [*shown, *task.options.split(", "), task.target.split(" ", 1)[1]]
    heads = [u.split("|")[0].split(".")[0] for u in used if u]
    reads, gives = SHAPES[task.shape][:2] if task.shape in SHAPES else ((), ())
    return list(dict.fromkeys([h for h in heads if h not in gives] + list(reads)))


# --- options and targets ---------------------------------------------------------------------------------------------
def _options(task: Task, row: dict) -> tuple[list[str], list[str]]:
    """(letters, texts) of the answer options."""
    if not task.options:
        return [], []
    column, *filters = task.options.split("|")
    if ", " in column:
        texts = [get(row, c, str) for c in column.split(", ")]
    else:
        value = get(row, column, (list, dict))
        if isinstance(value, dict):
            return get(row, column + ".label", list), strings(column, get(row, column + ".text", list))
        texts = strings(column, value)
    for name in filters:
        texts = [FILTERS[name](t) for t in texts]
    return [chr(ord("A") + i) for i in range(len(texts))], texts


def _targets(task: Task, row: dict, letters: list[str], texts: list[str]) -> list[str] | None:
    """Reference answers; None where the source hides the gold label (a negative class, an empty key)."""
    rule, spec = task.target.split(" ", 1)
    column = spec.split("|")[0]
    if rule in ("text", "word"):
        if rule == "word" and text(row, spec) not in task.labels:
            raise FormatError(column, f"label {text(row, spec)!r} is none of: {', '.join(task.labels)}")
        return [text(row, spec)]
    if rule in ("list", "first"):
        answers = strings(column, get(row, column, list))
        for name in spec.split("|")[1:]:
            answers = [FILTERS[name](a) for a in answers]
        return (answers[:1] if rule == "first" else answers) or [""]
    value = get(row, column, int if rule == "label" else (int, str))
    words = task.labels if rule == "label" else texts
    if value == "" or (isinstance(value, int) and value < 0):
        return None
    try:
        if rule == "key":
            index = letters.index(value)
        elif rule == "letter":
            index = ord(value) - ord("A")
        else:
            index = int(value) - (rule == "number-from-1")
    except (ValueError, TypeError):
        raise FormatError(column, f"answer {value!r} is none of the options {', '.join(map(str, letters))}") from None
    if not 0 <= index < len(words):
        raise FormatError(column, f"label {value!r} is out of range: there are {len(words)} ({', '.join(words):.80})")
    return [words[index]]


def render(task: Task, row: dict, rng: np.random.RandomState) -> Row | None:
    """One row; None where CrossFit drops it or the gold label is hidden."""
    if task.shape in SHAPES:
        try:
            extra = SHAPES[task.shape][2](row, rng)
        except FormatError:
            raise
        except Exception as error:
            # most likely a column that it did not ask for
            raise FormatError(task.shape, f"is made by a function that raised {type(error).__name__}: {error}; it is "
                              f"given the columns {', '.join(row)} and a generator") from error
        if extra is None:
            return None
        if not isinstance(extra, dict):
            raise FormatError(task.shape, "is made by a function that must give a dict of columns or None, "
                              f"not {extra!r:.40}")
        row = row | extra
    letters, texts = _options(task, row)
    targets = _targets(task, row, letters, texts)
    if targets is None:
        return None
    pattern = "({}){}" if task.shape == "tight" else " ({}) {}"
    shown = {"options": "".join(pattern.format(*pair) for pair in zip(letters, texts, strict=True))} if texts else {}
    words = FIELD.sub(lambda m: shown[m[1]] if m[1] in shown else text(row, m[1]), task.input)
    if task.shape == "cleaned":
        words = clean(words)
    return None if task.shape == "nonempty" and not words else (words, targets)


def format_rows(task: Task, records: Iterable[dict], where: str) -> Iterator[Row]:
    """All rows of one split, in order; `where` names the file in errors.

    As CrossFit does, the shapes that need chance draw it from one generator per split, with seed 42.
    Raises ValueError, naming file, row and column, for a missing column, a wrong type or a label out of range.
    """
    rng = np.random.RandomState(42)
    for number, row in enumerate(records):
        try:
            formatted = render(task, row, rng)
        except FormatError as error:
            column, why = error.args
            raise ValueError(f"{where}: row {number}, column {column!r} {why}") from None
        if formatted is not None:
            yield formatted
