"""What the book measures: relative performance, share recovered, intervals over seeds, flags.

Also how a number and a table are written.
"""

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
            "own_vector": "own training vector as it is", "mean_vector": "mean training vector as it is",
            "shared_vector": "shared training vector as it is", "untuned": "untuned backbone",
            "majority": "majority answer", "chance": "chance"}
FREE = ("untuned", "majority", "chance")
ONE = ("scaled_solution", "scaled_vector")  # controls that tune one number
# Controls that tune nothing.
STILL = ("train_solution", "own_vector", "mean_vector", "shared_vector", "untuned", "majority", "chance")
MARGIN = 15.0  # points that E_ori should lie above chance and above the untuned backbone; other cells are flagged
FLAG = "†"
APART = "‡"  # rows with long answers, which are archived and not in a table's average
# The paper's tables of transfer between deltas. Tables 1, 3, 6 and 7 are of optimisation; 3, 4, 7 and 9 are of the
# multi-task setting.
TRANSFER = (2, 4, 8, 9)


def relative(frame: pd.DataFrame, column: str = "sub") -> pd.Series:
    """Return 100 * E / E_ori for every row; undefined where E_ori is zero."""
    return (100 * frame[column] / frame["ori"]).where(frame["ori"] > 0)


def interval(values: Sequence[float], among: int = 1) -> tuple[float, float]:
    """Return the mean and half the width of its 95 % t-interval.

    The interval is wide enough for `among` intervals to hold at once (Bonferroni). The half width is undefined for a
    single value. Values that are not a number (NaN) are left out, of the count as well."""
    values = pd.Series(values, dtype=float).dropna()
    n = len(values)
    half = stdtrit(n - 1, 1 - 0.025 / among) * values.std(ddof=1) / n ** 0.5 if n > 1 else float("nan")
    return values.mean(), half


def widened(n: int, among: int) -> float:
    """Return the factor that widens the half interval of n values for `among` intervals to hold at once (Bonferroni).

    It is undefined for a single value."""
    return float(stdtrit(n - 1, 1 - 0.025 / among) / stdtrit(n - 1, 0.975)) if n > 1 else float("nan")


def over_seeds(frame: pd.DataFrame, values: pd.Series) -> tuple[float, float]:
    """Return mean and half interval, over seeds, of the average within each seed."""
    return interval(values.groupby(frame["seed"]).mean())


def by_seed(frame: pd.DataFrame, column: str = "sub") -> pd.Series:
    """Return the mean relative performance within each seed."""
    return relative(frame, column).groupby(frame["seed"]).mean()


def by_task(frame: pd.DataFrame, column: str = "sub") -> pd.DataFrame:
    """Return the mean relative performance of every task (columns) within each seed (rows)."""
    return relative(frame, column).groupby([frame["seed"], frame["task"]], sort=False).mean().unstack("task")


def gain(one: pd.DataFrame, other: pd.DataFrame, column: str = "sub") -> tuple[float, float]:
    """Return the relative performance of `other` minus that of `one`: mean and half interval, in points.

    It is over the tasks that both have, paired by seed."""
    tasks = set(one.task) & set(other.task)
    first, second = (by_seed(f[f.task.isin(tasks)], column) for f in (one, other))
    return interval(second - first)


def gains(results, controls: Sequence[str] = (), base=None) -> dict[str, pd.DataFrame]:
    """Return what `Results` add to some controls and, if it is given, to `base`, task by task, in points.

    By name, of every delta by itself and of transfer; rows are seeds, columns tasks that share label words. Without
    such a task there is nothing."""
    found = {}
    for what, text in (("own", "in the subspace"), ("moved", "transferred")):
        mine = rows_of(getattr(results, what), clear=False).get("label words shared")
        if mine is None:
            return {}
        if base is not None:
            other = getattr(base, what)
            found[f"{text}, over the unchanged settings"] = by_task(mine) - by_task(other[other.task.isin(mine.task)])
        found |= {f"{text}, over the {CONTROLS[c]}": by_task(mine) - by_task(mine, c) for c in controls}
    return found


def best_control(frame: pd.DataFrame, among: Sequence[str]) -> tuple[str, tuple[float, float]]:
    """Return the control that is best on average, and what `sub` adds to it: mean and half interval, paired by seed.

    The difference is in points of relative performance (percent of E_ori)."""
    shares = (100 * frame[list(among)]).div(frame["ori"], axis=0)[frame["ori"] > 0]  # `relative` of all at once
    means = shares.groupby(frame["seed"]).mean()
    best = means.mean().fillna(float("-inf")).idxmax()
    return best, interval(by_seed(frame) - means[best])


def _tenths(value: float) -> float:
    """Round to a tenth, as it is written; what rounds to zero has no sign."""
    return float(f"{value:.1f}") + 0.0


def signed(mean: float, half: float = float("nan")) -> str:
    """Format a difference with its sign, and its half interval if there is one; a dash if it is undefined."""
    if pd.isna(mean):
        return "–"
    return f"{_tenths(mean):+.1f}" + ("" if pd.isna(half) else f" ± {half:.1f}")


def points(mean: float, half: float) -> str:
    """Write a difference in points and whether its interval excludes zero: an effect is claimed only where it does."""
    if pd.isna(half):
        known = "one seed, no interval"
    else:
        known = "interval excludes zero" if abs(mean) > half else "interval includes zero"
    return f"{signed(mean, half)} points ({known})"


def recovered(frame: pd.DataFrame) -> tuple[float, float]:
    """Return 100 * (E_sub - chance) / (E_ori - chance) of the averages within each seed.

    Mean and half interval are over seeds. Both are undefined if E_ori is at most five points above chance with any
    seed: there is next to nothing to recover."""
    mean = frame.groupby("seed")[["sub", "ori", "chance"]].mean()
    room = mean["ori"] - mean["chance"]
    if not (room > 5).all():
        return float("nan"), float("nan")
    return interval(100 * (mean["sub"] - mean["chance"]) / room)


def weak(frame: pd.DataFrame) -> pd.Series:
    """Tell for every row whether E_ori of its task and delta is weak.

    It is weak if its mean over seeds is less than MARGIN above chance or above the untuned backbone."""
    mean = frame.groupby(["task", "target"])[["ori", "chance", "untuned"]].transform("mean")
    return mean["ori"] - mean[["chance", "untuned"]].max(axis=1) < MARGIN


def plural(n: int, noun: str) -> str:
    """Write a number of things, as in "1 task" or "2 tasks"."""
    return f"{n} {noun}{'s' * (n != 1)}"


def number(mean: float, half: float = float("nan")) -> str:
    """Format a number with one decimal, and its half interval if there is one; a dash if it is undefined."""
    if pd.isna(mean):
        return "–"
    return f"{_tenths(mean):.1f}" + ("" if pd.isna(half) else f" ± {half:.1f}")


def rows_of(frame: pd.DataFrame, clear: bool = True) -> dict[str, pd.DataFrame]:
    """Return the groups that every average is given over, by name.

    They are: label words shared, label words not shared, answers without label words, all, and, if `clear`, all but the
    flagged cells. Groups that are empty or repeat another are left out: `all` if there is one group only, and the last
    if no cell or every cell is flagged."""
    trained = {task: train.split("+") for task, train in zip(frame.task, frame.train, strict=True)}
    groups = suite.groups(list(trained), trained)
    found = {name: frame[frame.task.isin(chosen)] for name, chosen in groups.items() if chosen}
    *parts, whole = groups.values()
    if len(whole) in map(len, parts):  # there is one group only
        found.pop("all", None)
    flags = weak(frame)
    if clear and flags.any() and not flags.all():
        found[f"all but {FLAG}"] = frame[~flags]
    return found


def typeset(text: str) -> str:
    """Replace E_ori and E_sub in a text by the form in which the book writes them."""
    return re.sub(r"(?<![\w`])E_(ori|sub)\b", r"<i>E</i><sub>\1</sub>", text)


def markdown(text: str) -> Markdown:
    """Return a sentence or a caption, typeset."""
    return Markdown(typeset(text))


def html(lines: Sequence[dict]) -> HTML:
    """Return rows of ready text as a table, typeset.

    A number is not broken from its half interval at the end of a line, nor a list of numbers at its slashes."""
    table = pd.DataFrame(lines).to_html(index=False, escape=False, border=0, na_rep="–", justify="left")
    return HTML(typeset(table.replace(" ± ", "&nbsp;±&nbsp;").replace(" / ", "&nbsp;/&nbsp;")))
