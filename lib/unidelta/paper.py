"""The published figures: Tables 1 to 11 of the paper, kept in data/paper, and where they disagree with themselves.

All values are percentages with one decimal. Relative performance is 100 * E_sub / E_ori; "A->L" is the transfer of the
solution found for the adapter to LoRA.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd

from . import ROOT

AVERAGE = "Avg."
ROUNDING = 0.05  # each published figure, with its one decimal, may be off by this much
NUMBERS = range(1, 12)
TASKS = {
    "SST-2": "glue-sst2", "Rotten Tomatoes": "rotten_tomatoes", "R. Tomatoes": "rotten_tomatoes",
    "Amazon Review": "amazon_polarity", "A. Review": "amazon_polarity", "MNLI": "glue-mnli", "SciTail": "scitail",
    "RTE": "superglue-rte", "WiC": "superglue-wic", "WSC": "superglue-wsc", "QQP": "glue-qqp", "MRPC": "glue-mrpc",
    "ELI5-ELI5": "eli5-eli5", "ELI5-Askh": "eli5-askh", "ELI5-Asks": "eli5-asks", "DREAM": "dream", "CODAH": "codah",
    "QuaRTz": "quartz-no_knowledge", "CoPA": "superglue-copa", "Yelp Polarity": "yelp_polarity", "AI2 ARC": "ai2_arc",
    "QASC": "qasc", "BLiMP-ANA": "blimp-anaphor_number_agreement", "ETHOS-Gender": "ethos-gender",
}


def table(n: int) -> pd.DataFrame:
    """Published Table `n`: the label columns (train and test, or test, or source), then floats, in the published order.

    Rows keep the published names; the training task is repeated where the paper leaves it blank, and empty for the
    average. Raises ValueError for another number, FileNotFoundError if the project's data are not there.
    """
    file = ROOT / "data" / "paper" / f"table_{_number(n):02d}.csv"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing: run from a clone of the project")
    frame = pd.read_csv(file, keep_default_na=False)
    figures = [column for column in frame if column not in ("train", "test", "source")]
    return frame.astype(dict.fromkeys(figures, float))


def task_name(published: str) -> str:
    """CrossFit's name of a task as the tables call it: "R. Tomatoes" -> "rotten_tomatoes"."""
    if published not in TASKS:
        raise ValueError(f"the paper's tables have no task {published!r}: allowed are {', '.join(TASKS)}")
    return TASKS[published]


def rows(n: int, names: Collection[str]) -> pd.DataFrame:
    """The rows of a table for some unseen tasks, given by our names for them; the row of averages is left out.

    Raises ValueError for Table 5, which has no such rows.
    """
    frame = table(n)
    if "test" not in frame:
        raise ValueError(f"Table {n} has no rows of unseen tasks")
    return frame[[t != AVERAGE and task_name(t) in names for t in frame["test"]]]


def average(n: int, names: Collection[str]) -> float:
    """Mean of the published `Avg.` column over the rows of these tasks."""
    return rows(n, names)[AVERAGE].mean()


def square(names: Collection[str], own: bool) -> float:
    """Mean of Table 5 (Rotten Tomatoes alone) over its diagonal, each method by itself, or over the twelve other cells.

    NaN if `names` has another task: the table has no figures for it.
    """
    cells = table(5).set_index("source").to_numpy()
    diagonal = np.eye(len(cells), dtype=bool)
    return float(cells[diagonal if own else ~diagonal].mean()) if set(names) == {"rotten_tomatoes"} else float("nan")


def inconsistencies() -> pd.DataFrame:
    """Published averages that cannot follow from the figures they average, however those were rounded.

    Columns: table, row, column, over ("columns": the mean of its row; "rows": of its column), published, recomputed,
    difference (published - recomputed). The mean of rounded figures and the rounding of the published average may
    each be off by 0.05.
    """
    found = []
    for n in NUMBERS:
        frame = table(n).set_index("source" if n == 5 else "test").select_dtypes("number")
        checks = []
        if AVERAGE in frame:
            means = frame.drop(columns=AVERAGE).mean(axis=1)
            checks += [(row, AVERAGE, "columns", frame.at[row, AVERAGE], means[row]) for row in frame.index]
        if AVERAGE in frame.index:
            means = frame.drop(index=AVERAGE).mean()
            checks += [(AVERAGE, column, "rows", frame.at[AVERAGE, column], means[column]) for column in frame]
        found += [(n, *check, round(check[3] - check[4], 2)) for check in checks
                  if abs(check[3] - check[4]) > 2 * ROUNDING + 1e-9]
    columns = ["table", "row", "column", "over", "published", "recomputed", "difference"]
    return pd.DataFrame(found, columns=columns).round({"recomputed": 2})


def _number(n: int) -> int:
    if type(n) is not int or n not in NUMBERS:
        raise ValueError(f"the paper has no table of results {n!r}: allowed are 1 to 11")
    return n
