"""The results on one page: every headline beside the paper's figure on the same tasks.

With it come what explains it without tuning in a trained subspace, other draws of the backbone, the aim that was set
for this project before it was written, and the tasks that hold it back.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import pandas as pd
from IPython.display import HTML, Markdown

from unidelta import paper
from unidelta.report import archive, figures
from unidelta.report.measures import (
    CONTROLS,
    FLAG,
    ONE,
    STILL,
    TRANSFER,
    best_control,
    html,
    interval,
    markdown,
    number,
    over_seeds,
    plural,
    relative,
    rows_of,
    weak,
)
from unidelta.report.results import Results, joined

AIMS = {1: 85.0, 2: 83.0, 3: 89.0, 4: 85.0, 5: 95.0}  # percent of E_ori, by the paper's table; of Table 5 every cell
# by the paper's table: its variant in the study `more_seeds`, and the variant with its rows with long answers
FURTHER = {1: ("unchanged", "long_answers: unchanged"), 3: ("multi_task: unchanged", "long_answers: many tasks"),
           5: ("finetune: unchanged", "")}
FURTHER |= {6: ("simplified: single", ""), 7: ("simplified: multi", "")}
FURTHER |= {2: FURTHER[1], 4: FURTHER[3], 8: FURTHER[6], 9: FURTHER[7]}
SHARED, APART = "label words shared", "label words not shared"
SHORT = "short answers"  # the unseen tasks of the multi-task setting, but for ELI5


@dataclass(frozen=True)
class Headline:
    """An average that the page reports.

    trained, what, which: what the subspace was trained on, what is averaged, and over which rows, in words. n: the
    paper's table that has the average. frame: the rows behind it (as in `Results.frame`). draws: the same rows of other
    draws of the backbone. aimed: whether there was an aim for it."""

    trained: str
    what: str
    which: str
    n: int
    frame: pd.DataFrame
    draws: Sequence[pd.DataFrame]
    aimed: bool

    @property
    def value(self) -> tuple[float, float]:
        """Mean and half interval over seeds, in percent of E_ori."""
        return over_seeds(self.frame, relative(self.frame))

    @property
    def met(self) -> str:
        """Whether the aim was met: by the whole interval (yes), by the mean only, or not; a dash if there was none."""
        if not self.aimed:
            return "–"
        (mean, half), aim = self.value, AIMS[self.n]
        if mean - half >= aim:
            return "yes"
        return "mean only" if mean >= aim else "no"

    def by(self, results: Results) -> str:
        """The same average from other results, with its interval; a dash if they lack some of its tasks."""
        rows = results.shown(self.n)
        rows = rows[rows.task.isin(self.frame.task)]
        return number(*over_seeds(rows, relative(rows))) if set(rows.task) == set(self.frame.task) else "–"

    @property
    def fitted(self) -> float:
        """What a training solution, or the training tasks' shared vector, reaches with its length fitted."""
        return next(relative(self.frame, c).mean() for c in ONE if c in self.frame)

    @property
    def control(self) -> tuple[str, float]:
        """The best of the controls that tune nothing, and what it reaches, in percent of E_ori."""
        best, _ = best_control(self.frame, [c for c in STILL if c in self.frame])
        return best, relative(self.frame, best).mean()


def draws(results: Results) -> dict[str, Results]:
    """The archived study of backbones, if its default was run with the settings of `results`; else nothing."""
    found = archive.load("backbones") if "backbones" in archive.names() else {}
    return found if found and archive.same_settings(found["unchanged"], results) else {}


def headlines(single: Results, backbones: dict[str, Results], long: dict[str, Results]) -> list[Headline]:
    """The headlines of both settings; the last ones of each setting are over all tasks.

    backbones: the archived study, with the draws in both settings; without it there is one setting and one draw.
    long: the archived rows with long answers, which are of the default draw."""
    def of(results, n, group):
        return rows_of(results.shown(n), clear=False).get(group)

    lines: dict[tuple, Headline] = {}  # by table and tasks, so that the same tasks are not listed again as "all tasks"

    def add(trained, n, which, frame, draws=(), aimed=True):
        if frame is not None:
            what = "transferred" if n in TRANSFER else "in the subspace"
            own = set(frame.task)  # a page may have fewer than the archived draws
            drawn = [f[f.task.isin(own)] for f in draws if f is not None and own <= set(f.task)]
            lines.setdefault((n, *sorted(set(frame.task))), Headline(trained, what, which, n, frame, drawn, aimed))

    comparable = {name: r for name, r in backbones.items() if "comparing" not in name}
    few = [r for name, r in comparable.items() if not name.startswith("many tasks")]
    many = [r for name, r in comparable.items() if name.startswith("many tasks")]
    alone = "One training task"
    for group, aimed in ((SHARED, True), (APART, False)):
        for n in (1, 2):
            add(alone, n, group, of(single, n, group), [of(r, n, group) for r in few[1:]], aimed)
    every = joined(single, long.get("unchanged"))
    for n in (1, 2):
        add(alone, n, "all tasks", every.shown(n))
    if many:
        together = "Many training tasks"
        for n in (3, 4):
            add(together, n, SHORT, many[0].shown(n), [r.shown(n) for r in many[1:]])
        every = joined(many[0], long.get("many tasks"))
        for n in (3, 4):
            add(together, n, "all tasks", every.shown(n))
    return list(lines.values())


def simplified(study: dict[str, Results]) -> list[Headline]:
    """The averages of the simplified pipeline (Tables 6 to 9), without an aim. study: archived, or nothing."""
    found = []
    for setting, trained, own, moved in (("single", "One training task", 6, 8), ("multi", "Many training tasks", 7, 9)):
        for n in (own, moved) if setting in study else ():
            rows, which = study[setting].shown(n), SHORT
            if setting == "single":
                rows, which = rows_of(rows, clear=False)[SHARED], SHARED
            what = "transferred" if n in TRANSFER else "in the subspace"
            found.append(Headline(f"Simplified pipeline, {trained.lower()}", what, which, n, rows, (), False))
    return found


def stacked(*lines: str) -> str:
    """A table cell with these lines, broken again only where there is no room for one."""
    return "<br>".join(f'<span class="line">{line}</span>' for line in lines)


def cells(fine: Results) -> pd.Series:
    """The cells of Table 5, in percent of E_ori."""
    return relative(fine.frame).groupby([fine.frame.source, fine.frame.target]).mean()


def further(more: dict[str, Results], n: int, say: Callable[[Results], str]) -> dict[str, str]:
    """The column with more seeds: what `say` makes of the results behind the paper's Table n; none without `more`."""
    if not more:
        return {}
    short, long = (more.get(name) for name in FURTHER[n])
    return {f"{len(more['unchanged'].seeds)} seeds": say(joined(short, long)) if short else "–"}


def table(found: Sequence[Headline], fine: Results | None, more: dict[str, Results]) -> HTML:
    """The headlines, one line each, in percent of E_ori, and last the cells of Table 5.

    fine: the archived run with fine-tuning among the methods. more: the archived study `more_seeds`, or nothing."""
    lines = []
    for h in found:
        theirs = paper.average(h.n, set(h.frame.task))
        every = [over_seeds(f, relative(f))[0] for f in (h.frame, *h.draws)]
        doubt = FLAG * any(weak(f).any() for f in (h.frame, *h.draws))
        best, level = h.control
        label = (f"{stacked(*(f'{part},' for part in h.trained.split(', ')), h.what)}<br>"
                 f"<small>{stacked(f'{h.which}: {h.frame.task.nunique()}')}</small>")
        lines.append({"": label, "ours": f"<b>{number(*h.value)}</b>", **further(more, h.n, h.by),
                      "paper, same tasks": number(theirs),
                      "over draws": f"{number(*interval(every))} ({len(every)}){doubt}" if h.draws else "–",
                      "best without tuning": f"{number(level)} <small>{CONTROLS[best]}</small>",
                      "one number fitted": number(h.fitted),
                      "tuned in a random subspace": number(relative(h.frame, "random").mean()),
                      "aim: met": f"{number(AIMS[h.n])}: {h.met}" if h.aimed else "–"})
    if fine is not None:
        def ends(values):
            return f"{values.min():.1f} to {values.max():.1f}"
        ours, theirs = cells(fine), paper.table(5).drop(columns="source").to_numpy()
        best, _ = best_control(fine.own, [c for c in STILL if c in fine.own])
        lines.append({"": stacked("Fine-tuning among", "the methods, each", f"of {len(ours)} directions"),
                      "ours": f"<b>{ends(ours)}</b>",
                      **further(more, 5, lambda results: ends(cells(results))),
                      "paper, same tasks": ends(theirs), "over draws": "–",
                      "best without tuning":
                          f"{number(relative(fine.own, best).mean())} <small>{CONTROLS[best]}</small>",
                      "one number fitted": number(relative(fine.own, "scaled_vector").mean()),
                      "tuned in a random subspace": number(relative(fine.own, "random").mean()),
                      "aim: met": f"{number(AIMS[5])}: {(ours >= AIMS[5]).sum()} of {len(ours)}"})
    return html(lines)


def figure(found: Sequence[Headline]) -> HTML:
    """The headlines against the paper's figures and what explains them without tuning in a trained subspace.

    One line each, in percent of E_ori."""
    drawn, (axis,) = figures.canvas(height=0.36 * len(found) + 1.0)
    y = range(len(found))
    mean, half = zip(*(h.value for h in found), strict=True)
    axis.errorbar(mean, [at - 0.2 for at in y], xerr=half, fmt="o", color="black", markersize=6, capsize=3,
                  label="ours")
    theirs = [paper.average(h.n, set(h.frame.task)) for h in found]
    aims = [AIMS[h.n] if h.aimed else math.nan for h in found]
    axis.plot(theirs, y, "D", color="black", markerfacecolor="white", markersize=5, label="the paper, same tasks",
              zorder=3)
    axis.plot(aims, y, "|", color="#E69F00", markersize=21, markeredgewidth=2.5, label="aim", zorder=1)
    beside = {"one number fitted": ("s", "#56B4E9", [h.fitted for h in found]),
              "tuned in a random subspace": ("x", "#CC79A7", [relative(h.frame, "random").mean() for h in found]),
              "best without tuning": ("^", "#777777", [h.control[1] for h in found])}
    for name, (marker, colour, values) in beside.items():
        axis.plot(values, [at + 0.2 for at in y], marker, color=colour, markersize=4.5, label=name)
    axis.set_yticks(y, [f"{h.trained}, {h.what}\n{h.which}: {h.frame.task.nunique()}" for h in found], fontsize=7)
    axis.invert_yaxis()
    axis.axvline(100, color="black", linewidth=0.8)
    axis.set(xlabel=figures.OF, xlim=(-3, 106))
    *others, ours = zip(*axis.get_legend_handles_labels(), strict=True)  # matplotlib lists error bars last
    drawn.legend(*zip(ours, *others, strict=True), fontsize=7, ncols=3, markerscale=0.75, loc="outside upper center")
    return figures.picture(drawn, "Every average: ours, the paper's, the aim and three controls; "
                                  "the results chapter has the numbers")


def other_settings(*studies: dict[str, Results]) -> HTML | Markdown:
    """What archived studies of other settings reach with one training task, for the averages that have an aim.

    Only tasks that share label words count. Each line names the setting and its number of seeds."""
    lines = {}
    for name, results in chain.from_iterable(study.items() for study in studies):
        if "sub" not in results.frame:  # a part of a study that is about something else
            continue
        groups = [rows_of(results.shown(n), clear=False).get(SHARED) for n in (1, 2)]
        if "+" not in results.frame.train.iloc[0] and all(rows is not None for rows in groups):
            own, moved = (number(*over_seeds(rows, relative(rows))) for rows in groups)
            # several studies have run the settings as they are; the first is shown
            lines.setdefault((name, len(results.seeds)),
                             {"setting": name, "seeds": len(results.seeds),
                              f"in the subspace (aim {AIMS[1]:.0f})": own, f"transferred (aim {AIMS[2]:.0f})": moved})
    return html(list(lines.values())) if lines else Markdown("No other settings are shown.")


def missing(found: Sequence[Headline]) -> Markdown:
    """The tasks below the aim, lowest first, for every headline over all tasks that does not clear its aim.

    In brackets stands what the training task's solution reaches there as it is."""
    lines = []
    widest = {h.n: h for h in found if h.aimed}  # of each table the last headline, which has most tasks
    for h in widest.values():
        if h.met == "yes":
            continue
        each = pd.DataFrame({c: relative(h.frame, c).groupby(h.frame.task).mean()
                             for c in ("sub", "train_solution")}).sort_values("sub")
        low = each[each["sub"] < AIMS[h.n]]
        named = [f"`{task}` {row['sub']:.1f} ({row['train_solution']:.1f})" for task, row in low.iterrows()]
        rest = each.drop(low.index)["sub"]
        told = [", ".join(named) or "none; the average has no interval that clears it"]
        if named and len(rest):
            told.append(f"over the other {plural(len(rest), 'task')} the average is {number(rest.mean())}")
        lines.append(f"- {h.trained}, {h.what} ({h.which}): {'; '.join(told)}.")
    if not widest:
        return markdown("No aim was set for these rows.")
    return markdown("\n".join(lines) or "Every aim is cleared by the whole interval.")
