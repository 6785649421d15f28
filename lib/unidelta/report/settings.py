"""Would another setting do better on every draw of the backbone?

The results are those of `studies.on_every_draw`, whose scores are on spare development rows.
"""

import pandas as pd
from IPython.display import HTML, Markdown

from unidelta.report.measures import CONTROLS, FLAG, html, interval, number, relative, signed, weak
from unidelta.report.results import Results

WHAT = {"own": "in the subspace", "moved": "transferred"}
BESIDE = {c: CONTROLS[c] for c in ("train_solution", "chance")}
LOSS = 1.0  # points by which either of the two may fall, on average over draws, if the mean of both rises
RULE = ("Take the mean of what is recovered in the subspace and what is transferred, and its change on each draw. "
        "A setting is better if the whole 95 % t-interval of that change over the draws lies above zero, and neither "
        f"of the two falls by more than {LOSS:g} point on average; it is worse if that interval lies below zero; "
        "otherwise it is undecided.")


def means(found: dict[str, Results]) -> pd.DataFrame:
    """Return relative performance in percent, mean over tasks, deltas and seeds, one row per setting and draw (index).

    The columns are `own`, `moved`, the controls of BESIDE, and `weak`, whether some E_ori is near chance or the untuned
    backbone (`measures.weak`). found: by "SETTING, backbone=DRAW", as the study names its variants."""
    lines = []
    for name, results in found.items():
        setting, draw = name.rsplit(", backbone=", 1)
        lines.append({"setting": setting, "draw": draw,
                      **{what: relative(getattr(results, what)).mean() for what in WHAT},
                      **{control: relative(results.own, control).mean() for control in BESIDE},
                      "weak": weak(results.own).any()})
    return pd.DataFrame(lines).set_index(["setting", "draw"])


def changes(found: dict[str, Results], base: str) -> dict[str, pd.DataFrame]:
    """Return what every other setting adds to `base`, in points.

    There is one row per draw; the columns are `own`, `moved` and their mean, `both`."""
    every = means(found)[list(WHAT)]
    others = [s for s in every.index.unique("setting") if s != base]
    differences = {s: (every.loc[s] - every.loc[base]).dropna() for s in others}
    return {s: d.assign(both=d.mean(axis=1)) for s, d in differences.items()}


def table(found: dict[str, Results], base: str) -> HTML:
    """Return settings by draws, `base` first, with the controls and the mean over draws with half its 95 % t-interval.

    A weak draw is flagged."""
    every, lines = means(found), []
    for setting in sorted(every.index.unique("setting"), key=lambda name: (name != base, name)):
        for what, text in (WHAT | BESIDE).items():
            mine = every.loc[setting]
            cells = {draw: number(value) + FLAG * int(mine.weak[draw]) for draw, value in mine[what].items()}
            lines.append({"setting": setting, "": text, **cells, "mean": number(*interval(mine[what]))})
    return html(lines)


def verdict(change: pd.DataFrame) -> str:
    """Return "better", "worse" or "undecided", by RULE."""
    middle, half = interval(change["both"])
    if middle > half and change[list(WHAT)].mean().min() >= -LOSS:
        return "better"
    return "worse" if middle < -half else "undecided"


def verdicts(found: dict[str, Results], base: str) -> Markdown:
    """Compare every setting with `base`, paired by draw, and give the verdict of RULE."""
    lines = [f"- `{setting}`: " + "; ".join(f"{text} {signed(*interval(change[what]))}"
                                            for what, text in (WHAT | {"both": "mean of both"}).items())
             + f" points over {len(change)} draws: **{verdict(change)}**."
             for setting, change in changes(found, base).items()]
    return Markdown(f"Against `{base}`, by the rule:\n\n" + "\n".join(lines))
