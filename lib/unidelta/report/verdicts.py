"""A claim, its verdict by a stated rule, the tasks that the verdict leans on, and the tables of verdicts.

A claim about a threshold holds if the whole interval over seeds lies on its side of the threshold, does not hold if the
whole interval lies on the other side, and is open otherwise. A claim about k values at once holds if all k intervals
lie on its side. It does not hold if one of them, widened because there are k, lies on the other side. There is no
correction for the number of claims. With one seed there is no interval and no verdict: the claim is open. What the
paper reads off planes is the exception; it rests on one seed here and says so. A claim whose results were not run is
marked "not run".

A verdict leans on a task if it is another one by the same rule without that task.

That a claim holds says that its threshold is passed, and not that it is the subspace which passes it: beside what is
recovered stands the best control.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from IPython.display import HTML, Markdown

from unidelta.report.measures import html, widened
from unidelta.report.results import Results

RECOVERED = 80.0  # percent of E_ori: the level that section 5.2 counts by (its footnote gives 85 as that of others)
CLOSE = 5.0       # points within which two means count as the same; the paper does not say
HOLDS, FAILS, OPEN, NOT_RUN = "holds", "does not hold", "open", "not run"
PLURAL = {HOLDS: "hold", FAILS: "do not hold"}
OURS = " (not in the paper)."  # how the text of a question ends that the paper does not ask
Judge = Callable[[Results], tuple[str, str, str]]  # -> ours, the rule, the verdict


@dataclass(frozen=True)
class Claim:
    """One row of the chapter: the claim in our words with its section, published evidence, ours, rule and verdict.

    seeds: how many seeds ours rests on. average: the results of several unseen tasks whose average or count is judged,
    and what judges it; None if the claim is about something else, so that it cannot lean on one of them."""

    text: str
    published: str
    ours: str
    rule: str
    verdict: str
    seeds: int = 0
    average: tuple[Results, Judge] | None = field(default=None, repr=False, compare=False)

    @property
    def added(self) -> bool:
        """Whether this is a question that the paper does not ask."""
        return self.text.endswith(OURS)

    @property
    def name(self) -> str:
        """The text as a line of a table has it: without its last full stop, and without the mark of a question."""
        return self.text.removesuffix(OURS).removesuffix(".")

    @cached_property
    def leans(self) -> dict[str, str]:
        """The tasks that the verdict leans on, and what it is without each."""
        if self.average is None:
            return {}
        results, judge = self.average
        without = {task: judge(replace(results, frame=results.frame[results.frame.task != task]))[2]
                   for task in results.frame.task.unique()}
        return {task: known for task, known in without.items() if known != self.verdict}


def claim(text: str, published: str, results: Results | None, judge: Judge, average: bool = True) -> Claim:
    """The claim with the verdict of `judge`, or marked as not run if there are no results.

    average: whether it is about an average or a count over unseen tasks."""
    if results is None:
        return Claim(text, published, "–", "–", NOT_RUN)
    ours, rule, known = judge(results)
    several = average and results.frame.task.nunique() > 1
    return Claim(text, published, ours + " (archived)" * hasattr(results, "line"), rule, known, len(results.seeds),
                 (results, judge) if several else None)


def verdict(values: Sequence[tuple[float, float]], threshold: float, seeds: int) -> str:
    """HOLDS, FAILS or OPEN for the claim that all `values` lie above a threshold.

    A value is (mean, half interval), over so many seeds."""
    if any(half != half for _, half in values):
        return OPEN
    if all(mean - half > threshold for mean, half in values):
        return HOLDS
    return FAILS if any(mean + widened(seeds, len(values)) * half < threshold for mean, half in values) else OPEN


def differ(differences: Collection[tuple[float, float]]) -> bool | None:
    """Whether one of several differences, (mean, half interval), excludes zero: True if one does.

    False if none does and all intervals lie within CLOSE; None, for undecided, otherwise."""
    if any(abs(mean) > half for mean, half in differences):
        return True
    return False if all(abs(mean) + half <= CLOSE for mean, half in differences) else None


def marked(verdict: str) -> str:
    """A verdict as HTML; book/_static/custom.css has a colour for each."""
    return f'<b class="verdict {verdict.replace(" ", "-")}">{verdict}</b>'


def table(claims: Sequence[Claim], again: Sequence[Claim] = (), seeds: int = 0) -> HTML:
    """One line for each claim. again: the same claims judged again, whose verdicts stand beside, headed by `seeds`.

    Those that rest on another number of seeds there have a dash: nothing more was run for them."""
    later = {c.text: {f"{seeds} seeds": marked(c.verdict) if c.seeds == seeds else "–"} for c in again}
    return html([{"verdict": marked(c.verdict), **later.get(c.text, {}),
                  "claim": c.text.removesuffix(OURS) + "." * c.added, "ours": c.ours,
                  **({} if c.added else {"the paper's evidence": c.published}), "holds if": c.rule} for c in claims])


def changes(before: Sequence[Claim], after: Sequence[Claim]) -> Markdown:
    """List the claims whose verdict changes with other evidence, and that evidence."""
    now = {c.text: c for c in after}
    lines = [f"- {c.text.removesuffix('.')}: {c.verdict} → **{now[c.text].verdict}** "
             f"({now[c.text].ours.removesuffix(' (archived)')})."
             for c in before if c.text in now and now[c.text].verdict != c.verdict]
    return Markdown("\n".join(lines) or "No verdict changes.")


def leaning(claims: Sequence[Claim], again: Sequence[Claim] = (), seeds: int = 0) -> HTML | Markdown:
    """The claims whose verdict leans on a task, with the verdict without each such task.

    again: the same claims judged again, as in `table`; one that leans on a task there alone has a line, too."""
    def told(claim):
        by_verdict = {known: [t for t, other in claim.leans.items() if other == known]
                      for known in claim.leans.values()}
        return "<br>".join([marked(claim.verdict), *(f"{known} without {' or without '.join(tasks)}"
                                                     for known, tasks in by_verdict.items())])
    later = {c.text: c for c in again if c.seeds == seeds}
    lines = []
    for c in claims:
        beside = {f"{seeds} seeds": told(later[c.text]) if c.text in later else "–"} if again else {}
        if c.leans or (c.text in later and later[c.text].leans):
            lines.append({"claim": c.name + ".", f"{c.seeds} seeds": told(c), **beside})
    return html(lines) if lines else Markdown("No verdict leans on a task.")


def tally(claims: Sequence[Claim]) -> Markdown:
    """Count the verdicts on the paper's claims, and on the questions that it does not ask."""
    def counted(some):
        return ", ".join(f"{n} {verdict if n == 1 else PLURAL.get(verdict, verdict)}"
                         for verdict, n in Counter(c.verdict for c in some).most_common())
    asked = [c for c in claims if c.added]
    stated = [c for c in claims if not c.added]
    alone = [c for c in claims if "one seed" in c.rule]
    planes = f"; among them {len(alone)} read off planes of one seed: {counted(alone)}" if alone else ""
    return Markdown(f"Of {len(stated)} claims: {counted(stated)}{planes}. "
                    f"Of {len(asked)} questions that the paper does not ask: {counted(asked)}.")


def tally_leaning(claims: Sequence[Claim]) -> Markdown:
    """Count how many verdicts about several unseen tasks lean on one of them, kind of verdict by kind."""
    asked = [c for c in claims if c.average]
    if not asked:
        return Markdown("No verdict is about several unseen tasks.")
    kinds = [f"{sum(bool(c.leans) for c in asked if c.verdict == verdict)} of {n} that "
             + (PLURAL.get(verdict, f"are {verdict}") if n > 1 else f"{'is ' * (verdict == OPEN)}{verdict}")
             for verdict, n in Counter(c.verdict for c in asked).most_common()]
    some = sum(bool(c.leans) for c in asked)
    return Markdown(f"Of {len(asked)} verdicts about several unseen tasks, {some} {'leans' if some == 1 else 'lean'} "
                    f"on one of them: {', '.join(kinds)}.")
