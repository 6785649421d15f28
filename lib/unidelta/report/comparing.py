"""Tables of what variants of the settings change: with one, between two, and task by task."""

from functools import partial

import pandas as pd
from IPython.display import HTML, Markdown

from unidelta import paper
from unidelta.report import measures
from unidelta.report.measures import CONTROLS, ONE, html, interval, number, over_seeds, recovered, relative, rows_of
from unidelta.report.results import Results
from unidelta.report.tables import published_average, scores_by_task

SHORT = {"label words shared": "shared", "label words not shared": "not shared", "answers without label words": "none"}


def _group(name: str, rows: pd.DataFrame) -> str:
    """A group of tasks and their number, in a cell that is not broken."""
    return f"{SHORT.get(name, name)} ({rows.task.nunique()})".replace(" ", "&nbsp;")


def _published(results: Results) -> list[dict]:
    """The lines of the paper's averages over the same tasks; none for a dimension that its tables do not have."""
    many = bool(results.frame.train.str.contains("+", regex=False).all())
    if results.run.profile.y != (100 if many else 4):
        return []
    if "finetune" in results.kinds:
        said, averages = "Table 5", [partial(paper.square, own=own) for own in (True, False)]
    else:
        n = 3 if many else 1
        said, averages = f"Tables {n} and {n + 1}", [partial(published_average, results, m) for m in (n, n + 1)]
    return [{"variant": f"<i>the paper, same tasks ({said})</i>", "label words (tasks)": _group(group, mine),
             **{what: number(average(set(mine.task)))
                for what, average in zip(("in the subspace", "transferred"), averages, strict=True)}}
            for group, mine in rows_of(results.own, clear=False).items()]


def table(found: dict[str, Results]) -> HTML:
    """Compare variants on each group of tasks: in the subspace, transferred, the controls, and the share recovered.

    Below them stand the paper's averages for the first variant that has the dimension of its tables, if one has."""
    lines, beside = [], {c: CONTROLS[c] for c in ("train_solution", "shared_vector", *ONE, "random", "chance")}
    for name, results in found.items():
        for group, mine in rows_of(results.own, clear=False).items():
            moved = results.moved[results.moved.task.isin(mine.task)]
            lines.append({"variant": name, "label words (tasks)": _group(group, mine),
                          "in the subspace": number(*over_seeds(mine, relative(mine))),
                          "transferred": number(*over_seeds(moved, relative(moved))),
                          **{text: number(relative(mine, c).mean()) for c, text in beside.items() if c in mine},
                          "recovered above chance": number(*recovered(mine))})
    return html(lines + next((theirs for results in found.values() if (theirs := _published(results))), []))


def changes(found: dict[str, Results], random: bool = False) -> HTML | Markdown:
    """Return what every variant changes against the first, in points, paired by seed, over each group of tasks.

    The change is in bold where its interval excludes zero. random: show the change in a random subspace as well."""
    (first, base), *others = found.items()
    if not others:
        return Markdown("No variant was named.")
    lines = []
    for name, results in others:
        for group, rows in rows_of(base.own, clear=False).items():
            moved = base.moved[base.moved.task.isin(rows.task)]
            by = {"in the subspace": measures.gain(rows, results.own),
                  "transferred": measures.gain(moved, results.moved)}
            if random:
                by[CONTROLS["random"]] = measures.gain(rows, results.own, "random")
            line = {"variant": name, "label words (tasks)": _group(group, rows)}
            for what, (mean, half) in by.items():
                change = measures.signed(mean, half)
                line[what] = f"<b>{change}</b>" if abs(mean) > half else change
            lines.append(line)
    return HTML(f"<p>Change against <i>{first}</i>, in points, paired by seed; "
                f"bold where the interval excludes zero.</p>{html(lines).data}")


def absolute(found: dict[str, Results]) -> HTML:
    """Return the table of `tables.absolute` for every variant and task, without majority and the share recovered."""
    return html([{"variant": name, "unseen task": task, **line} for name, results in found.items()
                 for task, line in scores_by_task(results, ("chance", "untuned")).items()])


def beyond_length(found: dict[str, Results]) -> HTML:
    """Compare what is reached in the subspace and transferred, by variant, with the training solution, length fitted.

    Only tasks that share label words count. Both are in percent of E_ori; what each adds to that control is in points.
    All are means and half intervals over seeds. Variants without such a task are left out."""
    lines = []
    for name, results in found.items():
        parts = {"in the subspace": rows_of(results.own).get("label words shared"),
                 "transferred": rows_of(results.moved).get("label words shared")}
        if any(part is None for part in parts.values()):
            continue
        line = {"variant": name, **{what: number(*over_seeds(f, relative(f))) for what, f in parts.items()}}
        for what, f in parts.items():
            _, added = measures.best_control(f, ["scaled_solution"])
            line[f"{what}, over the length fitted"] = measures.signed(*added)
        lines.append(line)
    return html(lines)


def task_by_task(gains: dict[str, pd.DataFrame]) -> HTML | Markdown:
    """Return differences of relative performance, in points, task by task: mean and half interval over the rows.

    gains: by name, one row per seed (or per draw of the backbone) and one column per task. The last lines average over
    all tasks, and over all but the one that adds most, which they name. If a difference is undefined for every task,
    because every E_ori is zero, or if there is none, a sentence says so instead."""
    if not gains:
        return Markdown("No task here shares label words with its training tasks.")
    if any(each.mean().isna().all() for each in gains.values()):
        return Markdown("No difference of ratios, because every $E_{\\mathrm{ori}}$ is zero.")

    def mean(each):
        return measures.signed(*interval(each.mean(axis=1)))
    lines = [{"unseen task": task, **{name: measures.signed(*interval(each[task])) for name, each in gains.items()}}
             for task in next(iter(gains.values()))]
    most = {name: each.mean().idxmax() for name, each in gains.items()}
    every = {name: mean(each) for name, each in gains.items()}
    rest = {name: f"{mean(each.drop(columns=most[name]))}<br><small>without {most[name]}</small>"
            for name, each in gains.items()}
    return html([*lines, {"unseen task": "<b>all</b>", **every},
                 {"unseen task": "<b>all but the one that adds most</b>", **rest}])
