"""All seventy-two tasks of the paper (appendix A.1) from the hub, a mirror folder or the embedded stand-ins.

`rows` gives a source's rows in CrossFit's form, `load` train, dev and test parts of them, `score` the task's metric.
"""
import os
from collections.abc import Sequence
from functools import cache

import datasets
import numpy as np

from unidelta import checks
from unidelta.sources import formats, metrics, own, registry
from unidelta.sources import mirror as _mirror
from unidelta.sources.formats import Row
from unidelta.sources.own import add
from unidelta.sources.registry import TASKS, Task

__all__ = ["SOURCES", "TASKS", "Task", "add", "category", "crossfit_cut", "get", "load", "names", "rows", "score",
           "scored_by"]
SOURCES = ("hub", "mirror", "embedded")
PARTS = ("train", "dev", "test")
REPORT_ON = ("test", "spare")
Folder = str | os.PathLike | None


@cache
def _own() -> None:
    """Add the tasks that the environment variable UNIDELTA_TASKS names.

    Called when a task or names are first asked for, so that what is wrong can be told in one line.
    """
    own.read_all(os.environ.get("UNIDELTA_TASKS", ""))


def get(name: str) -> Task:
    """`registry.get`, with tasks of one's own. Raises ValueError for an unknown name and for a faulty file of tasks."""
    _own()
    return registry.get(name)


def names(setting: str | None = None, role: str | None = None) -> list[str]:
    """`registry.names`, with tasks of one's own.

    Raises ValueError for an unknown setting or role and for a faulty file of tasks.
    """
    _own()
    return registry.names(setting, role)


def category(name: str) -> str:
    """SA, NLI, PD, TC, LF-QA, MC-QA as in section 5.1, or a plain word for what only the multi-task setting has.

    Raises ValueError for an unknown task.
    """
    return get(name).category


def score(name: str, predictions: Sequence[str], targets: Sequence[str | Sequence[str]]) -> float:
    """The task's metric (see `unidelta.sources.metrics`) in [0, 1]; targets as in `rows`, or one text per example.

    Raises ValueError for an unknown task, and as `metrics.score` does.
    """
    return metrics.score(get(name).metric, predictions, targets)


def scored_by(name: str) -> str:
    """What decides the scores of a task of one's own beside its rows, as text; "" for the paper's, which are fixed."""
    task = get(name)
    return repr((task.metric, task.labels, task.options, task.shape)) if name in own.ADDED else ""


def rows(name: str, split: str, source: str = "mirror", mirror: Folder = None, seed: int = 0) -> list[Row]:
    """(input, [target, ...]) of one split in the source's own order, without our parts, caps and task-name prefix.

    split     train, validation or test, or the source's own word (validation_matched)
    mirror    folder for source "mirror"; default: the environment variable UNIDELTA_MIRROR
    seed      of the embedded stand-ins; real data ignore it
    Raises ValueError for an unknown task, split or source, for a split whose labels are hidden, and for faulty files.
    """
    task = get(name)
    if source == "embedded":
        from unidelta.sources import embedded  # its grammar is needed for the stand-ins only
        data, where = embedded.raw(name, split, seed), f"embedded {name}/{split}"
    elif source == "mirror":
        table, where = _mirror.from_mirror(task, split, mirror)
        data = _mirror.records(table)
    elif source == "hub":
        table, where = _mirror.from_hub(task, split)
        data = _mirror.records(table)
    else:
        raise ValueError(f"no source {source!r}; allowed: {', '.join(SOURCES)}")
    found = list(formats.format_rows(task, data, where))
    if not any(any(answers) for _, answers in found):
        raise ValueError(f"{where}: no row of task {name} has a gold label (the hub hides those of some test splits), "
                         "or its format drops them all")
    return found


def crossfit_cut(lines: list[Row]) -> tuple[list[Row], list[Row]]:
    """CrossFit's 80/20 cut of a source that has only a train split, shuffled by NumPy's legacy generator, seed 42."""
    lines = list(lines)
    np.random.RandomState(42).shuffle(lines)
    n = int(0.8 * len(lines))
    return lines[:n], lines[n:]


def _available(task: Task, source: str, mirror: Folder) -> list[str]:
    """Which of train, validation and test a source has, each with rows and public labels of its own."""
    if source == "embedded":
        return ["train", "validation", "test"]
    wanted = [s for s in ("train", "validation") if s in task.splits]
    if task.test == "test":
        wanted.append("test")
    if source == "hub":
        return wanted
    files = {s: _mirror.path(task, s, mirror) for s in wanted}
    return [s for s, file in files.items() if s == "train" or file not in (None, files["train"])]


def mirrored(name: str, mirror: Folder = None) -> bool:
    """Whether a mirror has the training rows of a task. Raises ValueError if there is no mirror."""
    return _mirror.path(get(name), "train", mirror) is not None


def load(name: str, source: str = "mirror", mirror: Folder = None, seed: int = 0,
         caps: dict[str, int | None] | None = None, report_on: str = "test") -> datasets.DatasetDict:
    """Train, dev and test parts with columns input (text) and targets (list of at least one text).

    test    the official test where its labels are public, else the official validation, else CrossFit's cut of train
    dev     the official validation where it is not already the test, else a seeded tenth of train, at most 1,000 rows
    train   the rest; train and dev come in seeded order, test in the source's unless it is capped
    seed    of the samples and their order; all seeds have the same stand-ins
    caps    {"train": 20000, "dev": 240, "test": None} keeps random samples; that of an official test, or of what
            stands for it, does not depend on the seed
    report_on   "spare" puts the dev rows that the cap leaves over in the place of test: they select nothing, so that
                settings can be chosen by them
    No input is in two parts: inputs of test are taken out of dev and train, and those of dev (spare rows too) out of
    train. As in the released loader, inputs lose white space in front, and targets on both sides. Rows without an
    answer are dropped.

    Raises ValueError for a cap, seed, source or report_on that is not allowed, where no rows are left (or spare), and
    as `rows` does.
    """
    task, caps = get(name), caps or {}
    for part, cap in caps.items():
        if part not in PARTS or not (cap is None or (type(cap) is int and cap > 0)):
            raise ValueError(f"bad cap {part}={cap!r}; allowed: {', '.join(PARTS)}, each a number from 1, or None")
    checks.whole("seed", seed, least=0)
    checks.known(source, SOURCES, "no source")
    checks.known(report_on, REPORT_ON, "cannot report on")
    read = {split: rows(name, split, source, mirror) for split in _available(task, source, mirror)}
    rng = np.random.default_rng(seed)
    train, dev, test = read["train"], None, None
    if "test" in read:
        test, dev = read["test"], read.get("validation")
    elif "validation" in read:
        test = read["validation"]
    else:
        train, test = crossfit_cut(train)
    test = _tidy(test)
    train = _sample(_without(_tidy(train), test), None, rng)
    if dev is None:
        n = max(1, min(1000, len(train) // 10))
        dev, train = train[:n], train[n:]
    whole = _sample(_without(_tidy(dev), test), None, rng)
    dev = taken = whole[:caps.get("dev")]
    if report_on == "spare":
        test, taken = _without(whole[len(dev):], dev), whole  # a row may stand in dev twice
        if not test:
            raise ValueError(f"{name}: no rows of dev are spare; allowed: a cap below its {len(whole)}")
    train = _sample(_without(train, taken), caps.get("train"), rng)
    if caps.get("test"):
        test = _sample(test, caps["test"], np.random.default_rng(0))
    return datasets.DatasetDict({k: _dataset(v, f"{name} {k}") for k, v in zip(PARTS, (train, dev, test), strict=True)})


def _tidy(lines: list[Row]) -> list[Row]:
    tidy = [(text.lstrip(), [t.strip() for t in targets if t.strip()]) for text, targets in lines]
    return [row for row in tidy if row[1]]


def _without(lines: list[Row], others: list[Row]) -> list[Row]:
    taken = {text.strip() for text, _ in others}
    return [row for row in lines if row[0].strip() not in taken]


def _sample(lines: list[Row], cap: int | None, rng: np.random.Generator) -> list[Row]:
    return [lines[i] for i in rng.permutation(len(lines))[:cap]]


def _dataset(lines: list[Row], what: str) -> datasets.Dataset:
    if not lines:
        raise ValueError(f"{what}: no rows are left once the parts are made disjoint")
    features = datasets.Features(input=datasets.Value("string"), targets=datasets.List(datasets.Value("string")))
    columns = {"input": [text for text, _ in lines], "targets": [targets for _, targets in lines]}
    return datasets.Dataset.from_dict(columns, features=features)
