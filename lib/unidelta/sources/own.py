"""A task of one's own: one more row of the table, and a function where the table's notation does not suffice.

`add` takes effect in the process that calls it. The environment variable UNIDELTA_TASKS names files, tab-separated like
data/tasks.tsv and with any of its columns. Their tasks are added when `unidelta.tasks` is first asked for a task or for
names, in notebooks and commands alike.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from unidelta.params import ParameterError
from unidelta.sources import formats, metrics, registry
from unidelta.sources.registry import TASKS, Task

COLUMNS = [f.name for f in fields(Task)]
NEEDED = ("name", "category", "metric", "hub", "splits", "test", "input", "target")
RULES = ("label", "word", "text", "list", "first", "number", "number-from-1", "letter", "key")
ADDED: set[str] = set()  # may be added again, because a notebook's cell is run more than once
ALLOWED = {"metric": metrics.METRICS, "test": ("test", "validation", "cut"),
           "single": ("", "train", "unseen"), "multi": ("", "train", "unseen")}


def add(row: dict[str, str], formatter: Callable | None = None,
        reads: Sequence[str] = (), gives: Sequence[str] = ()) -> Task:
    """Add a task and return it.

    row         in the notation of `unidelta.sources.registry`; a missing cell is empty, a missing `config` is "default"
    formatter   function (row of the source, random generator) -> dict of further columns for `input` and `target`, or
                None to drop the row
    reads       the columns of the source that the formatter needs
    gives       the columns that it makes
    A task with a role (such as single="unseen") is offered by the notebooks, too. Raises ValueError, in one line, for
    what cannot be used.
    """
    _check_row(row)
    name = row["name"]
    if name in TASKS and name not in ADDED:
        raise ValueError(f"task {name!r} exists already; choose another name")
    if formatter and not callable(formatter):
        raise ValueError(f"task {name!r}: formatter is {formatter!r}; it must be a function of a row and a generator")
    if formatter and name in (*formats.SHAPES, *formats.FLAGS) and name not in ADDED:
        raise ValueError(f"task {name!r}: this is the name of a built-in shape, and a formatter is stored under its "
                         "task's name; choose another name")
    task = registry.parse(dict.fromkeys(COLUMNS, "") | {"config": "default"} | row
                          | ({"shape": name} if formatter else {}))
    _check_notation(task, (*formats.FLAGS, *formats.SHAPES, *([name] if formatter else [])))
    _check_role(task)
    if formatter:
        formats.SHAPES[name] = (tuple(reads), tuple(gives), formatter)
    TASKS[name] = task
    ADDED.add(name)
    return task


def _check_row(row: dict[str, str]) -> None:
    """Raise ValueError unless the cells are texts of known columns, with a usable name and all that is needed."""
    name = row.get("name") or "(without a name)"
    if wrong := [c for c, cell in row.items() if not isinstance(cell, str)]:
        raise ValueError(f"task {name!r}: {wrong[0]} is {row[wrong[0]]!r}; every cell must be a text")
    if row.get("name") and not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"a task cannot be called {name!r}; "
                         "allowed: letters, digits and . _ -, starting with a letter or digit")
    if wrong := [c for c in row if c not in COLUMNS]:
        raise ValueError(f"task {name!r}: no column {wrong[0]!r}; allowed: {', '.join(COLUMNS)}")
    if missing := [c for c in NEEDED if not row.get(c)]:
        raise ValueError(f"task {name!r} needs {missing[0]!r}; needed are {', '.join(NEEDED)}")


def _check_notation(task: Task, shapes: Sequence[str]) -> None:
    """Raise ValueError for a cell that the table's notation does not allow. shapes: those that there are."""
    name = task.name
    for column, words in (ALLOWED | {"shape": ("", *shapes)}).items():
        if getattr(task, column) not in words:
            raise ValueError(f"task {name!r}: {column} is {getattr(task, column)!r}; "
                             f"allowed: {', '.join(w for w in words if w)}")
    if wrong := [pair for pair in task.also if len(pair) != 2]:
        raise ValueError(f"task {name!r}: also is {' '.join(wrong[0])!r}; "
                         "it must be `id config`, several separated by ;")
    rule = task.target.partition(" ")[0]
    if rule not in RULES or " " not in task.target:
        raise ValueError(f"task {name!r}: target is {task.target!r}; it must be a rule and a column, "
                         f"with one of the rules {', '.join(RULES)}")
    filters = [f for spec in (*formats.FIELD.findall(task.input), task.options, task.target)
               for f in spec.split("|")[1:]]
    if unknown := [f for f in filters if f not in formats.FILTERS]:
        raise ValueError(f"task {name!r}: no filter {unknown[0]!r}; allowed: {', '.join(formats.FILTERS)}")
    if not formats.FIELD.search(task.input) or set("{}") & set(formats.FIELD.sub("", task.input)):
        raise ValueError(f"task {name!r}: input is {task.input!r}; "
                         "it must name columns, each in braces, such as 'sentence: {sentence}'")
    if len(set(task.labels or ())) < len(task.labels or ()):
        raise ValueError(f"task {name!r}: labels are {'; '.join(task.labels)}; each may occur only once")
    if rule in ("number", "number-from-1", "letter", "key") and not task.options:
        raise ValueError(f"task {name!r}: the rule {rule!r} needs options, a column that lists the answers")
    if rule in ("label", "word") and not task.labels:
        raise ValueError(f"task {name!r}: the rule {rule!r} needs labels, such as 'no; yes'")
    if "train" not in task.splits or task.test != "cut" and task.test not in task.splits:
        raise ValueError(f"task {name!r}: splits are {', '.join(task.splits)}; "
                         f"train is needed, and {task.test!r}, which plays the test part")


def _check_role(task: Task) -> None:
    """Raise ValueError for a single-task role that does not fit the training tasks there are."""
    trainers = [t for t in TASKS.values() if t.single == "train"]
    others = [t.name for t in trainers if t.category == task.category and t.name != task.name]
    if task.single == "train" and others:
        raise ValueError(f"task {task.name!r}: {others[0]!r} is already the training task of category {task.category}; "
                         "allowed: single unseen, or another category")
    served = dict.fromkeys(t.category for t in trainers)
    if task.single == "unseen" and task.category not in served:
        raise ValueError(f"task {task.name!r}: no training task of category {task.category!r} serves it; allowed: "
                         f"{', '.join(served)}, or a category whose training task is added first")


def read_all(files: str) -> None:
    """Add every row of some tab-separated files, whose paths are divided as in PATH.

    Raises ParameterError, naming the file, for what cannot be used.
    """
    for file in filter(None, files.split(os.pathsep)):
        try:
            rows, seen = registry.table(Path(file)), set()
            if rows and list(rows[0]) == [c for c in rows[0] if c and "," in c]:
                raise ValueError("its columns are not separated by tabs")
            if not rows:
                raise ValueError("there is no row below a first line that names the columns")
            for row in rows:
                if row.get("name") in seen:
                    raise ValueError(f"task {row['name']!r} occurs twice")
                seen.add(row.get("name"))
                if None in row:
                    raise ValueError(f"task {row.get('name')!r} has more cells than the first line has columns")
                add({c: cell or "" for c, cell in row.items()})
        except (OSError, ValueError) as error:
            raise ParameterError(f"tasks of one's own, {file}: {error}") from None
