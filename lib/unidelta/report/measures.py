"""What the book measures: relative performance, recovered share, intervals over seeds, flags; and how a number and a table are written."""

import re
from collections.abc import Sequence

import pandas as pd
from IPython.display import HTML, Markdown
from scipy.special import stdtrit

from unidelta import suite
from unidelta.projections import KINDS

LABEL = {"adapter": "Adapter", "lora": "LoRA", "prefix": "Prefix", "finetune": "Fine-tune"}
PAIRS = [(s, t) for s in KINDS for t in KINDS if s != t]  # the published order: A->L, A->P, L->A, ...
CONTROLS = {"random": "random up-projection, tuned", "scaled_solution": "training solution, length fitted",
            "scaled_vector": "shared training vector, length fitted", "train_solution": "training solution as it is",
            "own_vector": "own training vector as it is", "mean_vector": "mean training vector as it is", "shared_vector": "shared training vector as it is",
            "untuned": "untuned backbone", "majority": "majority answer", "chance": "chance"}
FREE = ("untuned", "majority", "chance")
ONE = ("scaled_solution", "scaled_vector")  # what tunes one number
STILL = ("train_solution", "own_vector", "mean_vector", "shared_vector", "untuned", "majority", "chance")  # what tunes nothing
MARGIN = 15.0  # points that E_ori should lie above chance and above the untuned backbone; cells that do not are flagged
FLAG = "†"
APART = "‡"  # rows with long answers, which are archived and not in a table's average
TRANSFER = (2, 4, 8, 9)  # the paper's tables of transfer between deltas; beside them 1, 3, 6, 7 of optimisation (3, 4, 7, 9: multi-task setting)


def relative(frame: pd.DataFrame, column: str = "sub") -> pd.Series:
    """100 * E / E_ori for every row; undefined where E_ori is zero."""
    return (100 * frame[column] / frame["ori"]).where(frame["ori"] > 0)


def interval(values: Sequence[float], among: int = 1) -> tuple[float, float]:
    """Mean and half the width of its 95 % t-interval, which is wide enough for `among` of them at once (Bonferroni); the half is undefined
    for a single value. What is not a number is left out, of the count, too."""
    values = pd.Series(values, dtype=float).dropna()
    n = len(values)
    return values.mean(), (stdtrit(n - 1, 1 - 0.025 / among) * values.std(ddof=1) / n ** 0.5 if n > 1 else float("nan"))


def widened(n: int, among: int) -> float:
    """By what the half interval of n values is multiplied to be wide enough for `among` of them at once; undefined for a single value."""
    return float(stdtrit(n - 1, 1 - 0.025 / among) / stdtrit(n - 1, 0.975)) if n > 1 else float("nan")


def over_seeds(frame: pd.DataFrame, values: pd.Series) -> tuple[float, float]:
    """Mean and half interval over seeds of the average within each seed."""
    return interval(values.groupby(frame["seed"]).mean())


def by_seed(frame: pd.DataFrame, column: str = "sub") -> pd.Series:
    """Mean relative performance within each seed."""
    return relative(frame, column).groupby(frame["seed"]).mean()


def gain(one: pd.DataFrame, other: pd.DataFrame, column: str = "sub") -> tuple[float, float]:
    """Relative performance of `other` minus that of `one`, over the tasks both have, paired by seed: mean and half interval, in points."""
    tasks = set(one.task) & set(other.task)
    first, second = (by_seed(f[f.task.isin(tasks)], column) for f in (one, other))
    return interval(second - first)


def best_control(frame: pd.DataFrame, among: Sequence[str]) -> tuple[str, tuple[float, float]]:
    """The best of some controls, on average, and by how many points `sub` lies above it, in percent of E_ori: mean and half interval, paired by seed."""
    means = pd.DataFrame({c: by_seed(frame, c) for c in among})
    best = means.mean().fillna(float("-inf")).idxmax()
    return best, interval(by_seed(frame) - means[best])


def signed(mean: float, half: float = float("nan")) -> str:
    """A difference with its sign, and its half interval where there is one, and a dash for what is undefined."""
    if pd.isna(mean):
        return "–"
    return f"{mean:+.1f}" + ("" if pd.isna(half) else f" ± {half:.1f}")


def points(mean: float, half: float) -> str:
    """A difference in points, and whether its interval excludes zero: an effect is claimed only where it does."""
    known = "one seed, no interval" if pd.isna(half) else "interval excludes zero" if abs(mean) > half else "interval includes zero"
    return f"{signed(mean, half)} points ({known})"


def recovered(frame: pd.DataFrame) -> tuple[float, float]:
    """100 * (E_sub - chance) / (E_ori - chance) of the averages within each seed: mean and half interval over seeds.

    Undefined where E_ori is not five points above chance with every seed: there is next to nothing to recover."""
    mean = frame.groupby("seed")[["sub", "ori", "chance"]].mean()
    room = mean["ori"] - mean["chance"]
    return interval(100 * (mean["sub"] - mean["chance"]) / room) if (room > 5).all() else (float("nan"), float("nan"))


def weak(frame: pd.DataFrame) -> pd.Series:
    """Whether E_ori (mean over seeds) of the row's task and delta is less than MARGIN above chance or above the untuned backbone."""
    mean = frame.groupby(["task", "target"])[["ori", "chance", "untuned"]].transform("mean")
    return mean["ori"] - mean[["chance", "untuned"]].max(axis=1) < MARGIN


def number(mean: float, half: float = float("nan")) -> str:
    """One decimal, with its half interval where there is one, and a dash for what is undefined."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.1f}" + ("" if pd.isna(half) else f" ± {half:.1f}")


def rows_of(frame: pd.DataFrame, clear: bool = True) -> dict[str, pd.DataFrame]:
    """The groups every average is given over: label words shared, not shared, none, all, and, if `clear`, all but the flagged cells.

    Left out is what is empty or says the same again: `all` where there is one group, and the last where nothing is flagged."""
    trained = {task: train.split("+") for task, train in zip(frame.task, frame.train, strict=True)}
    groups, flags = suite.groups(list(trained), trained), weak(frame)
    found = {name: frame[frame.task.isin(chosen)] for name, chosen in groups.items() if chosen}
    found |= {f"all but {FLAG}": frame[~flags]} if clear and flags.any() and not flags.all() else {}
    return {name: rows for name, rows in found.items() if name != "all" or len(groups["all"]) not in map(len, list(groups.values())[:-1])}


def typeset(text: str) -> str:
    """E_ori and E_sub as the book writes them."""
    return re.sub(r"(?<![\w`])E_(ori|sub)\b", r"<i>E</i><sub>\1</sub>", text)


def markdown(text: str) -> Markdown:
    """A sentence or a caption, typeset."""
    return Markdown(typeset(text))


def html(lines: Sequence[dict]) -> HTML:
    """Rows of ready text as a table, typeset; a number and its half interval stay in one line, and so do the numbers of a list."""
    table = pd.DataFrame(lines).to_html(index=False, escape=False, border=0, na_rep="–", justify="left")
    return HTML(typeset(table.replace(" ± ", "&nbsp;±&nbsp;").replace(" / ", "&nbsp;/&nbsp;")))
