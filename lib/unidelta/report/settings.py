"""Would another setting do better on every draw of the backbone?

The results are those of `studies.draws.on_every_draw`, whose scores are on spare development rows, and of
`studies.draws.on_other_draws`, whose scores are on test rows.
"""

from dataclasses import replace

import pandas as pd
from IPython.display import HTML, Markdown

from unidelta.report.measures import CONTROLS, FLAG, html, interval, number, points, relative, signed, weak
from unidelta.report.results import Results

WHAT = {"own": "in the subspace", "moved": "transferred"}
BESIDE = {c: CONTROLS[c] for c in ("scaled_solution", "train_solution", "chance")}
LOSS = 1.0  # points by which either of the two may fall, on average over draws, if the mean of both rises
RULE = ("Take the mean of what is recovered in the subspace and what is transferred, and its change on each draw. "
        "A setting is better if the whole 95 % t-interval of that change over the draws lies above zero, and neither "
        f"of the two falls by more than {LOSS:g} point on average; it is worse if that interval lies below zero; "
        "otherwise it is undecided.")


def means(found: dict[str, Results]) -> pd.DataFrame:
    """Return relative performance in percent, mean over tasks, deltas and seeds, one row per setting and draw (index).

    The columns are `own`, `moved`, those controls of BESIDE that were run, and `weak`, whether some E_ori is near
    chance or the untuned backbone (`measures.weak`).
    found: by "SETTING, backbone=DRAW", as the study names its variants."""
    lines = []
    for name, results in found.items():
        setting, draw = name.rsplit(", backbone=", 1)
        beside = [control for control in BESIDE if control in results.frame]
        lines.append({"setting": setting, "draw": draw,
                      **{what: relative(getattr(results, what)).mean() for what in WHAT},
                      **{control: relative(results.own, control).mean() for control in beside},
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
        for what, text in ((w, t) for w, t in (WHAT | BESIDE).items() if w in every):
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
    lines = []
    for setting, change in changes(found, base).items():
        told = "; ".join(f"{text} {signed(*interval(change[what]))}"
                         for what, text in (WHAT | {"both": "mean of both"}).items())
        lines.append(f"- `{setting}`: {told} points over {len(change)} draws: **{verdict(change)}**.")
    return Markdown(f"Against `{base}`, by the rule:\n\n" + "\n".join(lines))


def with_default(others: dict[str, Results], default: dict[str, Results]) -> dict[str, Results]:
    """Join results of other draws, by "SETTING, backbone=DRAW", to those of the default draw.

    Of the default draw are kept the tasks and the seeds of the others. default: by setting; has at least the settings
    of `others`."""
    tasks = {task for results in others.values() for task in results.frame.task}
    seeds = next(iter(others.values())).seeds
    found = {}
    for setting in dict.fromkeys(name.rsplit(", backbone=", 1)[0] for name in others):
        frame = default[setting].frame
        frame = frame[frame.task.isin(tasks) & frame.seed.isin(seeds)]
        found[f"{setting}, backbone=embedded"] = replace(default[setting], seeds=seeds, frame=frame)
    return found | others


def over_draws(found: dict[str, Results], setting: str) -> Results:
    """Return the results of a setting on all draws, with a draw in the place of a seed: one row of an average each."""
    mine = {name.rsplit("=", 1)[1]: r for name, r in found.items() if name.rsplit(", backbone=", 1)[0] == setting}
    frame = pd.concat([r.frame.assign(seed=draw) for draw, r in mine.items()], ignore_index=True)
    return replace(next(iter(mine.values())), seeds=list(mine), frame=frame)


def answers(found: dict[str, Results], base: str) -> Markdown:
    """Say how far every other setting lies above `base` and above the training solution with its length fitted.

    Both are differences within a draw, in points, with half the 95 % t-interval over the draws."""
    every, lines = means(found), []
    for setting, change in changes(found, base).items():
        mine = every.loc[setting]
        for what, text in WHAT.items():
            over = interval(mine[what] - mine["scaled_solution"])
            lines.append(f"- `{setting}`, {text}, over {len(change)} draws: {points(*interval(change[what]))} "
                         f"against `{base}`; {points(*over)} over the {CONTROLS['scaled_solution']}.")
    return Markdown("\n".join(lines))
