"""The paper's claims, each with its published evidence, ours, and a verdict that follows from a stated rule.

A claim about a threshold holds if the whole interval over seeds lies on its side of it, does not hold if the whole interval lies on the
other, and is open otherwise; with one seed there is no interval and no verdict. What a claim needs and was not run is said to be so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from IPython.display import HTML

from unidelta import paper
from unidelta.projections import KINDS
from unidelta.report.measures import CONTROLS, LABEL, PAIRS, best_control, by_seed, html, interval, number, over_seeds, relative
from unidelta.report.results import Results
from unidelta.stages.landscapes import Plane

RECOVERED = 80.0  # percent of E_ori that the paper calls recovered
CLOSE = 5.0       # points within which two means count as the same; the paper does not say
HOLDS, FAILS, OPEN, NOT_RUN = "holds", "does not hold", "open", "not run"
LEFT = ("train_solution", "own_vector", "mean_vector", "untuned")  # what is there before anything is tuned for the unseen task
Judge = Callable[[Results], tuple[str, str, str]]  # -> ours, the rule, the verdict


@dataclass(frozen=True)
class Claim:
    """One row of the chapter: the claim in our words with its section, the paper's evidence, ours, when it holds, and whether it does."""

    text: str
    published: str
    ours: str
    rule: str
    verdict: str


def claim(text: str, published: str, results: Results | None, judge: Judge) -> Claim:
    """The claim as `judge` finds it, or not run where there are no results."""
    if results is None:
        return Claim(text, published, "–", "–", NOT_RUN)
    ours, rule, known = judge(results)
    return Claim(text, published, ours + " (archived)" * hasattr(results, "line"), rule, known)


def verdict(values: Sequence[tuple[float, float]], threshold: float) -> str:
    """HOLDS, FAILS or OPEN for a claim that all of (mean, half interval) lie above a threshold."""
    if any(half != half for _, half in values):
        return OPEN
    if all(mean - half > threshold for mean, half in values):
        return HOLDS
    return FAILS if any(mean + half < threshold for mean, half in values) else OPEN


def listed(values: dict[str, tuple]) -> str:
    return ", ".join(f"{LABEL[k]} {number(*v)}" for k, v in values.items())


def published_average(n: int) -> str:
    """The averages of one of the paper's Tables 1, 3, 6 and 7, by delta."""
    theirs = paper.table(n).set_index("test").loc[paper.AVERAGE]
    return listed({k: (theirs[LABEL[k]],) for k in KINDS})


def recovered(results: Results) -> tuple[str, str, str]:
    """Whether every delta recovers more than RECOVERED in the subspace, on average."""
    values = {k: over_seeds(f, relative(f)) for k, f in ((k, results.own[results.own.target == k]) for k in results.kinds)}
    return listed(values), f"each delta's mean above {RECOVERED:.0f}", verdict(list(values.values()), RECOVERED)


def widely(level: float, share: float) -> Judge:
    """Whether transfer reaches `level` percent of E_ori on more than `share` percent of the unseen tasks."""
    def judge(results):
        mean = relative(results.moved).groupby([results.moved.seed, results.moved.task]).mean()
        reached = interval(100 * (mean >= level).groupby("seed").mean())
        return (f"{number(*reached)} % of {results.moved.task.nunique()} tasks", f"share of tasks at {level:.0f} or more above {share:.0f} %",
                verdict([reached], share))
    return judge


def surplus(what: str, over: Sequence[str]) -> Judge:
    """Whether `own` or `moved` results lie above the best of some controls, with every delta; paired by seed."""
    def judge(results):
        frame = getattr(results, what)
        best, whole = best_control(frame, [c for c in over if c in frame])
        each = {k: interval(by_seed(f) - by_seed(f, best)) for k, f in ((k, frame[frame.target == k]) for k in results.kinds)}
        return (f"{number(*whole)} points over {CONTROLS[best]}: {listed(each)}", "each delta's interval lies above zero", verdict(list(each.values()), 0.0))
    return judge


def asymmetric(results: Results) -> tuple[str, str, str]:
    """Directions are compared pair by pair, paired by seed; each of the three intervals allows for there being three."""
    found, pairs = {}, len(PAIRS) // 2
    for s, t in PAIRS:
        if (t, s) not in found:
            there, back = (by_seed(results.moved[(results.moved.source == a) & (results.moved.target == b)]) for a, b in ((s, t), (t, s)))
            found[s, t] = interval(there - back, pairs)
    if any(half != half for _, half in found.values()):
        known = OPEN
    else:
        known = HOLDS if any(abs(mean) > half for mean, half in found.values()) else \
            FAILS if all(abs(mean) + half <= CLOSE for mean, half in found.values()) else OPEN
    ours = "; ".join(f"{LABEL[s]} to {LABEL[t]} minus the way back {number(*value)}" for (s, t), value in found.items())
    return (f"{ours} points",
            f"one of the {pairs} differences excludes zero, its interval widened for there being {pairs}; not if all lie within {CLOSE:.0f} points", known)


def overlap(planes: dict[str, Plane]) -> Claim:
    """The three deltas' common region against the smallest of their own, which bounds it; where one delta has none, there is nothing to compare."""
    shares = {task: plane.share(RECOVERED) for task, plane in planes.items()}
    ratios = {t: 100 * s["all"] / least for t, s in shares.items() if (least := min(s[k] for k in KINDS))}
    text = "; ".join(f"{t}: {s['all']:.1f} % of the plane" + (f", {number(ratios[t])} % of the smallest region of one delta" if t in ratios else
                     f" (nowhere {' nor '.join(LABEL[k] for k in KINDS if not s[k])})") for t, s in shares.items())
    known = FAILS if any(r <= 50 for r in ratios.values()) else HOLDS if len(ratios) == len(planes) else OPEN
    return Claim("The local optima of the deltas overlap widely (section 5.2.3).", "three pictures (figure 2), no number", text,
                 f"on every plane shown, all three reach {RECOVERED:.0f} % at once on more than half of the smallest region where one of them does (one seed); "
                 "open where one of them nowhere does", known)


def every(results: Results, planes: dict[str, Plane]) -> list[Claim]:
    """The claims of the single-task setting, in the paper's order; those that need archived studies are in `unidelta.report.claims_archived`."""
    theirs = paper.table(2)
    theirs = theirs[theirs["test"] != paper.AVERAGE][paper.AVERAGE]
    return [claim("Every delta recovers more than 80 % on average in the subspace of one training task (section 5.2.1).", published_average(1), results,
                  recovered),
            claim("A solution found with one delta, sent through another's map, recovers more than 80 % on more than half of the unseen tasks (section 5.2.1).",
                  f"{(theirs > RECOVERED).sum()} of {len(theirs)} tasks ({100 * (theirs > RECOVERED).mean():.0f} %)", results, widely(RECOVERED, 50.0)),
            claim("(Not in the paper.) Tuning in the subspace adds to what the training task's solutions give as they are.", "no such control", results,
                  surplus("own", LEFT)),
            claim("(Not in the paper.) What is recovered is more than a guess.", "chance is not reported", results, surplus("own", ("chance", "majority"))),
            *transfers(results), overlap(planes)]


def transfers(results: Results | None, where: str = "") -> list[Claim]:
    """Two questions that the paper does not ask of transfer: whether the other delta needs the vector that was found for it. where: begins them."""
    a = f"{where} a" if where else "A"
    return [claim(f"(Not in the paper.) {a} transferred vector adds to what the other delta has from training tasks untuned.", "no such control", results,
                  surplus("moved", [c for c in LEFT if c != "own_vector"])),
            claim(f"(Not in the paper.) {a} transferred vector does more than the other delta, tuned itself in a random subspace of as many dimensions.",
                  "no such control", results, surplus("moved", ["random"]))]


def table(claims: list[Claim]) -> HTML:
    return html([{"claim": c.text, "the paper's evidence": c.published, "ours": c.ours, "holds if": c.rule, "verdict": f"<b>{c.verdict}</b>"} for c in claims])
