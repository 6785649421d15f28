"""The seventy-two tasks of the paper, one row each in data/tasks.tsv.

They are the 60 training tasks of the multi-task setting (Table 12 lists 59; ade_corpus_v2-dosage is the 60th of the
released list), its 9 unseen tasks (Table 13), and three more of the single-task setting (section 5.1). The columns:

name      CrossFit's name
category  the paper's SA, NLI, PD, TC, LF-QA, MC-QA, or a plain word for what only the multi-task setting has
metric    ACC, F1, EM, QA-F1 or ROUGE-L (`unidelta.sources.metrics`)
single    role in the single-task setting: train, unseen or empty
multi     role in the multi-task setting, likewise
hub       data set on the Hugging Face hub today
config    its configuration
splits    its splits; `ours=theirs` where the hub has another word, `a|b` where a mirror may have it under either (a
          before b)
test      what plays the test part: test; validation, where the hub hides the test labels or has no test; cut, where
          there is only a train split, which is cut 80/20 as CrossFit does
shape     extra step of `unidelta.sources.formats`, if any
input, options, target    how one row reads, in the notation of `unidelta.sources.formats`
labels    label words, in the order of the hub's class numbers
citation  citation keys
also      other data sets with the same columns that may stand in, `id config`
note      what a reader should know

`unidelta.sources.own` adds tasks of one's own.
"""
import csv
import difflib
from dataclasses import dataclass
from pathlib import Path

from unidelta import ROOT

TABLE = ROOT / "data" / "tasks.tsv"


@dataclass(frozen=True)
class Task:
    """One row of the table, with its lists and pairs split."""

    name: str
    category: str
    metric: str
    single: str
    multi: str
    hub: str
    config: str
    splits: dict[str, tuple[str, ...]]  # our word for a split -> the hub's, best first
    test: str
    shape: str
    input: str
    options: str
    target: str
    labels: list[str] | None
    citation: list[str]
    also: list[tuple[str, str]]  # (id, config) of stand-ins
    note: str

    @property
    def sources(self) -> list[tuple[str, str]]:
        """(id, config) of the data set itself, then of what may stand in for it."""
        return [(self.hub, self.config), *self.also]


def _several(cell: str, mark: str) -> list[str]:
    return [part.strip() for part in cell.split(mark) if part.strip()]


def parse(row: dict[str, str]) -> Task:
    """Return a row of the table as a `Task`."""
    pairs = [part.partition("=") for part in _several(row["splits"], ",")]
    return Task(**row | {
        "splits": {ours: tuple((theirs or ours).split("|")) for ours, _, theirs in pairs},
        "labels": _several(row["labels"], ";") or None,
        "citation": _several(row["citation"], ";"),
        "also": [tuple(part.split(" ")) for part in _several(row["also"], ";")],
    })


def table(file: Path) -> list[dict[str, str]]:
    """The rows of a tab-separated file with a header line; quotation marks are ordinary characters."""
    with file.open(encoding="utf-8-sig", newline="") as stream:  # spreadsheets begin a file with a byte-order mark
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


TASKS: dict[str, Task] = {row["name"]: parse(row) for row in table(TABLE)}


def names(setting: str | None = None, role: str | None = None) -> list[str]:
    """The tasks in the table's order; `names("single", "unseen")` keeps those with that role in that setting.

    Raises ValueError for an unknown setting or role.
    """
    if setting not in (None, "single", "multi") or role not in (None, "train", "unseen"):
        raise ValueError(f"no tasks for setting {setting!r}, role {role!r}; allowed: single, multi and train, unseen")
    settings = ("single", "multi") if setting is None else (setting,)
    found = []
    for name, task in TASKS.items():
        roles = {getattr(task, s) for s in settings} - {""}
        if roles and role in (None, *roles):
            found.append(name)
    return found


def get(name: str) -> Task:
    """The task of that name. Raises ValueError, with the nearest names, if there is none."""
    if not isinstance(name, str) or name not in TASKS:
        near = difflib.get_close_matches(str(name), TASKS, n=4, cutoff=0.4) or list(TASKS)
        raise ValueError(f"no task {name!r}; the nearest of the {len(TASKS)} names: {', '.join(near)}")
    return TASKS[name]
