"""The tables of the book, from `report.Results`. Where the paper has a figure, it is below ours in the same cell."""

from collections.abc import Callable, Collection, Sequence
from functools import partial

import pandas as pd
from IPython.display import HTML, Markdown

from unidelta import paper
from unidelta.projections import KINDS
from unidelta.report.measures import (
    APART,
    CONTROLS,
    FLAG,
    LABEL,
    MARGIN,
    PAIRS,
    TRANSFER,
    html,
    interval,
    number,
    over_seeds,
    recovered,
    relative,
    rows_of,
    weak,
)
from unidelta.report.results import Results, joined
from unidelta.stages import original
from unidelta.stages.workbench import Run


def _grey(value: float) -> str:
    """Format a figure of the paper: grey, in italics, with one decimal."""
    return f'<span style="color:#767676"><i>{value:.1f}</i></span>'


def _both(ours: str, published: float | None) -> str:
    """Return our figure with the paper's below it in grey; ours alone if the paper has none."""
    return ours if published is None else f"{ours}<br>{_grey(published)}"


def columns(transfer: bool) -> dict[str, tuple[str, str]]:
    """Map each published column to its (source, target)."""
    return ({f"{s[0].upper()}->{t[0].upper()}": (s, t) for s, t in PAIRS} if transfer
            else {LABEL[k]: (k, k) for k in KINDS})


def _across(results: Results, n: int) -> dict[str, tuple[str, str]]:
    """`columns` of Table n, as far as the deltas of `results` have them."""
    return {name: pair for name, pair in columns(n in TRANSFER).items() if set(pair) <= set(results.kinds)}


def _average(rows: pd.DataFrame, across: Collection[str], n: int) -> pd.Series:
    """The paper's averages of some rows of Table n: as printed or, where not all its columns are shown, over these."""
    return rows[paper.AVERAGE] if len(across) == len(columns(n in TRANSFER)) else rows[list(across)].mean(axis=1)


def published(results: Results, n: int, whole: bool = True, long: Results | None = None) -> HTML:
    """Return one of the paper's Tables 1 to 4 and 6 to 9, row by row, our figures above the paper's.

    Rows that were not run say so, and tasks that the paper's table lacks have no part in it. Two rows of averages come
    last: our mean over the rows that were run, with the paper's average as printed, and, if only some rows were run,
    the paper's mean over these. If not `whole`, rows that were not run and averages are left out. long: the rows with
    long answers, marked and not in the average."""
    frame = joined(results, long).frame
    frame = frame.assign(rel=relative(frame), weak=weak(frame))
    apart = set(frame.task) - set(results.frame.task)
    across, theirs, lines = _across(results, n), paper.table(n), []
    theirs[paper.AVERAGE] = _average(theirs, across, n)
    averaged = {paper.task_name(name) for name in theirs["test"] if name != paper.AVERAGE} - apart
    for row in theirs.to_dict("records"):
        everything = row["test"] == paper.AVERAGE
        mine = frame[frame.task.isin(averaged)] if everything else frame[frame.task == paper.task_name(row["test"])]
        if not whole and (everything or not len(mine)):
            continue
        line = {"trained on": row["train"]} if "train" in row else {}
        line["unseen task"] = row["test"] + f" {APART}" * bool(mine.task.isin(apart).any())
        if everything and 0 < mine.task.nunique() < len(theirs) - 1:
            line["unseen task"] += f"<br><small>ours over {mine.task.nunique()} of {len(theirs) - 1} rows</small>"
        for name, (s, t) in across.items():
            cell = mine[(mine.source == s) & (mine.target == t)]
            flag = FLAG if len(cell) and not everything and cell.weak.all() else ""
            line[name.replace("->", " → ")] = _both(number(cell.rel.mean()) + flag if len(cell) else "not run",
                                                    row[name])
        mine = mine[mine.source != mine.target] if n in TRANSFER else mine[mine.source == mine.target]
        line[paper.AVERAGE] = _both(number(*over_seeds(mine, mine.rel)) if len(mine) else "not run", row[paper.AVERAGE])
        lines.append(line)
    here = theirs[[t != paper.AVERAGE and paper.task_name(t) in set(results.frame.task) for t in theirs["test"]]]
    if whole and 0 < len(here) < len(theirs) - 1:
        means = here.mean(numeric_only=True)
        means = {name.replace("->", " → "): _grey(means[name]) for name in (*across, paper.AVERAGE)}
        lines.append(dict.fromkeys(lines[-1], "") | {"unseen task": "<i>the paper, these rows</i>"} | means)
    return html(lines)


def scores_by_task(results: Results, controls: Sequence[str]) -> dict[str, dict[str, str]]:
    """Map each task to its test scores in percent, mean over seeds: the controls, then E_ori, then E_sub.

    One cell holds E_ori of all methods, another E_sub of each by itself. A weak E_ori is flagged."""
    kinds, flags, found = results.kinds, weak(results.own), {}
    initials = " / ".join(k[0].upper() for k in kinds)
    for task, mine in results.own.groupby("task", sort=False):
        cells = [mine[mine.target == kind] for kind in kinds]
        ori = [number(cell["ori"].mean()) + FLAG * bool(flags[cell.index].all()) for cell in cells]
        sub = [number(cell["sub"].mean()) for cell in cells]
        found[task] = {**{c: number(mine[c].mean()) for c in controls},
                       f"E_ori: {initials}": " / ".join(ori), f"E_sub: {initials}": " / ".join(sub)}
    return found


def absolute(results: Results) -> HTML:
    """Return the scores behind the ratios, per task: chance, majority, untuned, E_ori, E_sub and the share recovered.

    The share recovered is flagged where an E_ori in it is weak."""
    flags = weak(results.own)
    role = "training task" if set(results.own.task) <= set(results.frame.train.iloc[0].split("+")) else "unseen task"
    lines = []
    for task, scores in scores_by_task(results, ("chance", "majority", "untuned")).items():
        mine = results.own[results.own.task == task]
        share = number(*recovered(mine)) + FLAG * bool(flags[mine.index].any())
        lines.append({role: task, **scores, "recovered": share})
    return html(lines)


def published_absolute(results: Results, n: int) -> HTML:
    """Return the paper's Table 10 or 11 (appendix A.6), row by row, our figures above the paper's.

    Chance and the untuned backbone come first; rows that were not run say so. The last two rows are our mean over the
    rows above them with the paper's average as printed, and the mean of the paper's own rows."""
    frame = results.frame.assign(weak=weak(results.frame))
    theirs, lines = paper.table(n), []
    methods = [kind for kind in LABEL if LABEL[kind] in theirs]
    again = theirs[theirs["test"] != paper.AVERAGE].select_dtypes("number").mean()
    rows = [None if t == paper.AVERAGE else paper.task_name(t) for t in theirs["test"]]
    for row, task in zip(theirs.to_dict("records"), rows, strict=True):
        mine = frame[frame.task.isin([t for t in rows if t]) if task is None else frame.task == task]
        line = {"trained on": row["train"]} if "train" in row else {}
        line |= {"unseen task": row["test"], **{c: number(mine[c].mean()) for c in ("chance", "untuned")}}
        for kind in methods:
            cell = mine[mine.target == kind]
            flag = FLAG if len(cell) and task and cell.weak.all() else ""
            line[LABEL[kind]] = _both(number(*over_seeds(cell, cell.ori)) + flag if len(cell) else "not run",
                                      row[LABEL[kind]])
        lines.append(line)
    means = {LABEL[k]: _grey(again[LABEL[k]]) for k in methods}
    lines.append(dict.fromkeys(lines[-1], "") | {"unseen task": "<i>the paper's own rows give</i>"} | means)
    return html(lines)


def published_average(results: Results, n: int, names: Collection[str]) -> float:
    """Return the mean of the paper's Table n over some tasks and the deltas shown; NaN where it has none of them."""
    return _average(paper.rows(n, names), _across(results, n), n).mean()


def averages(results: Results, n: int = 1, theirs: Callable[[list[str]], float] | None = None) -> HTML:
    """Return the averages over the groups of tasks, with every control below them, in percent of E_ori.

    n: the paper's table. Tables 1, 3, 6 and 7 are of every delta by itself, 2, 4, 8 and 9 of the directions of
    transfer. theirs: what the paper has for some tasks, if that is not the average of its Table `n` over the deltas
    shown. A group is flagged if all its E_ori are weak: its ratios say nothing."""
    theirs = theirs or partial(published_average, results, n)
    groups = rows_of(results.shown(n))
    names = {name: list(dict.fromkeys(mine.task)) for name, mine in groups.items()}
    flagged = {name: bool(weak(mine).all()) for name, mine in groups.items()}
    heads = {name: f"{name} ({len(names[name])})" + f" {FLAG}" * flagged[name] for name in groups}

    def line(text, value):
        return {"": text, **{heads[name]: value(name, mine) for name, mine in groups.items()}}
    def reached(_, mine, column="sub"):
        return number(*over_seeds(mine, relative(mine, column)))
    lines = [line("<b>transferred</b>" if n in TRANSFER else "<b>in the subspace</b>", lambda name, mine: (
        reached(name, mine) if flagged[name] else f"<b>{reached(name, mine)}</b>"))]
    lines += [line(text, partial(reached, column=c)) for c, text in results.controls.items()]
    lines.append(line("recovered above chance", lambda _, mine: number(*recovered(mine))))
    if results.run.profile.y == (100 if n in (3, 4, 7, 9) else 4):  # the paper's tables are of these dimensions only
        lines.append(line("the paper, same tasks", lambda name, _: number(theirs(names[name]))))
    return html(lines)


def by_delta(results: Results, absolute: bool = False) -> HTML:
    """Return E_sub and every control for each delta, over all tasks, in percent of its E_ori.

    If `absolute`, they are test scores instead, and E_ori comes first."""
    names = ({"ori": "E_ori"} if absolute else {}) | {"sub": "E_sub", **CONTROLS}
    rows = {kind: results.own[results.own.target == kind] for kind in results.kinds}
    head, value = ("test score, %", pd.DataFrame.__getitem__) if absolute else ("", relative)
    return html([{head: text, **{LABEL[k]: number(*over_seeds(f, value(f, c))) for k, f in rows.items()}}
                 for c, text in names.items() if c in results.frame])


def square(results: Results, theirs: pd.DataFrame | None = None) -> HTML:
    """Return source (rows) -> target (columns) for one task: relative performance with its interval and its test score.

    theirs: a table of the paper with a column `source`; its figures are shown below ours."""
    frame = results.frame.assign(rel=relative(results.frame))
    text = {key: f"{number(*over_seeds(f, f.rel))} <small>({number(f['sub'].mean())})</small>"
            for key, f in frame.groupby(["source", "target"])}
    rows = [] if theirs is None else theirs.to_dict("records")
    printed = {(row["source"], name): value for row in rows for name, value in row.items()}
    return html([{"from": LABEL[s], **{"to " + LABEL[t]: _both(text[s, t], printed.get((LABEL[s], LABEL[t])))
                                       for t in results.kinds}}
                 for s in results.kinds])


def published_scores(results: Results) -> HTML:
    """Return the test scores behind the paper's Table 1, its ratios times the E_ori of its Table 10, beside chance.

    results: have the chance level of every task. An E_ori of the paper's close to it is flagged as ours are."""
    chance = results.frame.groupby("task").chance.mean()
    original = {paper.task_name(row["test"]): row for row in paper.rows(10, chance.index).to_dict("records")}
    lines = []
    for row in paper.rows(1, original).to_dict("records"):
        task = paper.task_name(row["test"])
        line = {"unseen task": row["test"], "chance": number(chance[task])}
        for name in (LABEL[k] for k in KINDS):
            ori = original[task][name]
            line[name] = f"{number(row[name] * ori / 100)} of {number(ori)}" + FLAG * bool(ori - chance[task] < MARGIN)
        lines.append(line)
    return html(lines)


def published_rows(task: str) -> HTML | Markdown:
    """Return the paper's rows of transfer for a task, of Tables 2 (single-task, y = 4) and 4 (multi-task, y = 100)."""
    lines = []
    for n, setting in ((2, "Table 2, single-task"), (4, "Table 4, multi-task")):
        for row in paper.rows(n, [task]).to_dict("records"):
            numbers = {k.replace("->", " → "): number(v) for k, v in row.items() if k not in ("train", "test")}
            lines.append({"paper": setting, **numbers})
    return html(lines) if lines else Markdown(f"The paper's Tables 2 and 4 have no row for `{task}`.")


def originals(run: Run, names: list[str], seeds: list[int]) -> tuple[HTML, list[str]]:
    """Return E_ori per delta of some tasks, with its interval over seeds and the best step; and the artifacts' ids."""
    done = original(run, names, seeds=seeds)
    lines = []
    for task in names:
        each = {k: [done[task, k, s].metrics for s in seeds] for k in KINDS}
        steps = {k: sum(m["best_step"] for m in metrics) / len(seeds) for k, metrics in each.items()}
        lines.append({"task": task,
                      **{LABEL[k]: number(*interval([100 * m["test"] for m in metrics]))
                         for k, metrics in each.items()},
                      "best step": ", ".join(f"{LABEL[k]} {step:.0f}" for k, step in steps.items())})
    return html(lines), sorted(a.id for a in done.values())


def per_task(results: Results) -> HTML:
    """Return E_sub and every control per unseen task, beside the paper's Table 1.

    All are in percent of E_ori, mean over deltas and seeds."""
    names = {"sub": "E_sub", "random": "random, tuned",
             "train_solution": "training solution", "scaled_solution": "its length fitted",
             "own_vector": "own vector", "mean_vector": "mean vector",
             "untuned": "untuned", "majority": "majority", "chance": "chance"}
    return html([{"unseen task": task, **{text: number(relative(mine, c).mean()) for c, text in names.items()},
                  "paper": number(paper.average(1, [task]))}
                 for task, mine in results.own.groupby("task", sort=False)])
