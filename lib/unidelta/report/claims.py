"""The paper's claims, each with its published evidence, ours, and a verdict that follows from a stated rule.

A claim about a threshold holds if the whole interval over seeds lies on its side of it, does not hold if the whole interval lies on the
other, and is open otherwise; with one seed there is no interval and no verdict. What a claim needs and was not run is said to be so.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import pandas as pd
from IPython.display import HTML, Markdown

from unidelta import paper, tasks
from unidelta.projections import KINDS
from unidelta.report.measures import CONTROLS, LABEL, PAIRS, best_control, by_seed, html, interval, number, over_seeds, relative, signed
from unidelta.report.planes import Plane
from unidelta.report.results import Results

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


def differ(differences: Collection[tuple[float, float]]) -> bool | None:
    """Whether one of several (mean, half interval) excludes zero; not if all lie within CLOSE; or None, where neither can be told."""
    if any(abs(mean) > half for mean, half in differences):
        return True
    return False if all(abs(mean) + half <= CLOSE for mean, half in differences) else None


def listed(values: dict[str, tuple]) -> str:
    return ", ".join(f"{LABEL[k]} {number(*v)}" for k, v in values.items())


def published(n: int, results: Results | None, say: Callable[[pd.DataFrame], str]) -> str:
    """What the rows of one of the paper's tables say, and, where not all of them are run here, what those say that are."""
    table = paper.table(n)
    whole = table[table["test"] != paper.AVERAGE]
    here = whole if results is None else paper.rows(n, set(results.frame.task))
    return say(whole) + (f"; on the {len(here)} of its {len(whole)} rows that are run here {say(here)}" if 0 < len(here) < len(whole) else "")


def averages(rows: pd.DataFrame) -> str:
    """Of rows of the paper's Tables 1, 3, 6 and 7: the average of every delta."""
    return listed({k: (rows[LABEL[k]].mean(),) for k in KINDS})


def recovered(results: Results) -> tuple[str, str, str]:
    """Whether every delta recovers more than RECOVERED in the subspace, on average."""
    values = {k: over_seeds(f, relative(f)) for k, f in ((k, results.own[results.own.target == k]) for k in results.kinds)}
    return listed(values), f"each delta's mean above {RECOVERED:.0f}", verdict(list(values.values()), RECOVERED)


def widely(level: float, share: float) -> Judge:
    """Whether transfer reaches `level` percent of E_ori on more than `share` percent of the unseen tasks."""
    def judge(results):
        mean = relative(results.moved).groupby([results.moved.seed, results.moved.task]).mean()
        reached = (mean >= level).groupby("seed")
        counts = dict.fromkeys(reached.sum().astype(int))  # in the order of the seeds, once each
        return (f"{' or '.join(map(str, counts))} of {results.moved.task.nunique()} tasks" + (" with every seed" if len(counts) == 1 else ", by seed"),
                f"share of tasks at {level:.0f} or more above {share:.0f} %", OPEN if mean.isna().any() else verdict([interval(100 * reached.mean())], share))
    return judge


def ahead(results: Results) -> tuple[str, str, str]:
    """Whether the adapter recovers more than each of the other two in the subspace, paired by seed."""
    means = {k: by_seed(results.own[results.own.target == k]) for k in KINDS}
    leads = {k: interval(means["adapter"] - means[k]) for k in KINDS if k != "adapter"}
    return "; ".join(f"{signed(*v)} points against {LABEL[k]}" for k, v in leads.items()), "both differences lie above zero", verdict(list(leads.values()), 0.0)


def leads(rows: pd.DataFrame) -> str:
    """The same of rows of the paper's Tables 1 and 3."""
    return "; ".join(f"{signed((rows['Adapter'] - rows[LABEL[k]]).mean())} points against {LABEL[k]}" for k in KINDS if k != "adapter")


def poorer_source(results: Results) -> tuple[str, str, str]:
    """Whether what the adapter finds is transferred less well than what the other two find, paired by seed."""
    from_adapter = results.moved.source == "adapter"
    points = interval(by_seed(results.moved[~from_adapter]) - by_seed(results.moved[from_adapter]))
    return f"{number(*points)} points less", "the difference lies above zero", verdict([points], 0.0)


def alike_as_sources(results: Results) -> tuple[str, str, str]:
    """Whether it matters which delta a vector was found with: pair by pair, paired by seed; each of the three intervals allows for there being three."""
    means = {k: by_seed(results.moved[results.moved.source == k]) for k in KINDS}
    pairs = [(a, b) for i, a in enumerate(KINDS) for b in KINDS[i + 1:]]
    found = {(a, b): interval(means[a] - means[b], len(pairs)) for a, b in pairs}
    known = {True: FAILS, False: HOLDS, None: OPEN}[differ(found.values())]
    return ("; ".join(f"{LABEL[a]} minus {LABEL[b]} {signed(*value)}" for (a, b), value in found.items()) + " points",
            f"all {len(pairs)} differences lie within {CLOSE:.0f} points; not if one excludes zero, its interval widened for there being {len(pairs)}", known)


def by_source(rows: pd.DataFrame) -> str:
    """The same of rows of the paper's Tables 2 and 4: the average of what each delta finds."""
    return listed({k: (rows[[name for name in rows if name.startswith(f"{k[0].upper()}->")]].mean().mean(),) for k in KINDS})


def behind_as_source(rows: pd.DataFrame) -> str:
    """The same of rows of the paper's Tables 2 and 4."""
    means = rows[[name for name in rows if "->" in name]].mean()
    from_adapter = means.index.str.startswith("A->")
    return f"{number(means[~from_adapter].mean() - means[from_adapter].mean())} points less"


def as_good_as_its_own(wanted: Sequence[str]) -> Judge:
    """Whether transfer reaches E_ori, within CLOSE, on each of some tasks."""
    def judge(results):
        values = {t: over_seeds(f, relative(f)) for t, f in results.moved[results.moved.task.isin(wanted)].groupby("task")}
        return (", ".join(f"{t} {number(*v)}" for t, v in values.items()), f"each task's mean above {100 - CLOSE:.0f}",
                verdict(list(values.values()), 100 - CLOSE))
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
    known = {True: HOLDS, False: FAILS, None: OPEN}[differ(found.values())]
    ours = "; ".join(f"{LABEL[s]} to {LABEL[t]} minus the way back {number(*value)}" for (s, t), value in found.items())
    return (f"{ours} points",
            f"one of the {pairs} differences excludes zero, its interval widened for there being {pairs}; not if all lie within {CLOSE:.0f} points", known)


def overlap(planes: dict[str, Plane]) -> Claim:
    """The three deltas' common region against the smallest of their own, which bounds it; where one delta has none, there is nothing to compare."""
    shares = {task: plane.share(RECOVERED) for task, plane in planes.items()}
    ratios = {t: 100 * s["all"] / least for t, s in shares.items() if (least := min(s[k] for k in KINDS))}
    text = "; ".join(f"{t}: {s['all']:.1f} % of the plane" + (f", {number(ratios[t])} % of the smallest region of one delta" if t in ratios else
                     f" ({', '.join(LABEL[k] for k in KINDS if not s[k])}: nowhere)") for t, s in shares.items())
    known = NOT_RUN if not planes else FAILS if any(r <= 50 for r in ratios.values()) else HOLDS if len(ratios) == len(planes) else OPEN
    return Claim("The local optima of the deltas overlap widely (section 5.2.3).", "three pictures (figure 2), no number", text,
                 f"on every plane shown, all three reach {RECOVERED:.0f} % at once on more than half of the smallest region where one of them does (one seed); "
                 "open where one of them nowhere does", known)


def near(planes: dict[str, Plane]) -> Claim:
    """Whether the solutions of all three deltas lie where the mean of the three is at RECOVERED, by the point of the grid next to each."""
    def at(plane, point):  # nothing is known of what lies outside the grid
        inside = point.abs().max() <= plane.axis.abs().max()
        return float(plane.relative.mean(0)[tuple((plane.axis - x).abs().argmin() for x in point)]) if inside else 0.0
    where = {t: [at(plane, point) for point in plane.points] for t, plane in planes.items()}
    text = "; ".join(f"{t}: {sum(v >= RECOVERED for v in each)} of {len(each)}" for t, each in where.items())
    return Claim("The solutions of the three deltas lie in the same good region (section 5.2.3).", "three pictures (figure 2), no number", text,
                 f"on every plane shown, all of them lie where the mean of the three is at {RECOVERED:.0f} % or more (by the next point of the grid, one seed)",
                 NOT_RUN if not planes else HOLDS if all(v >= RECOVERED for each in where.values() for v in each) else FAILS)


def wider(planes: dict[str, Plane]) -> Claim:
    """The good region with many training tasks against that with one."""
    shares = {t: plane.share(RECOVERED)["mean"] for t, plane in planes.items()}
    one, many = ([t for t, plane in planes.items() if (plane.train in tasks.names()) == alone] for alone in (True, False))
    least, most = min((shares[t] for t in many), default=0.0), max((shares[t] for t in one), default=0.0)
    return Claim("The good region is much wider with many training tasks than with one (section 5.2.3).", "three pictures (figure 2), no number",
                 "; ".join(f"{t} {share:.1f} % of the plane" for t, share in shares.items()) + f" ({', '.join(one) or 'none'} with one training task)",
                 f"the mean of the three is at {RECOVERED:.0f} % on a larger part of each plane of many tasks than of any plane of one (one seed)",
                 NOT_RUN if not (one and many) else HOLDS if least > most else FAILS)


def every(results: Results, planes: dict[str, Plane]) -> list[Claim]:
    """The claims of the single-task setting, in the paper's order; those that need archived studies are in `unidelta.report.claims_archived`."""
    alike = ["rotten_tomatoes", "amazon_polarity"]
    has = results if set(alike) & set(results.frame.task) else None
    return [claim("Every delta recovers more than 80 % on average in the subspace of one training task (section 5.2.1).", published(1, results, averages),
                  results, recovered),
            claim("The adapter recovers most (section 5.2.1).", published(1, results, leads), results, ahead),
            claim("A solution found with one delta, sent through another's map, recovers more than 80 % on more than half of the unseen tasks (section 5.2.1).",
                  published(2, results, lambda rows: f"{(rows[paper.AVERAGE] > RECOVERED).sum()} of {len(rows)} tasks"), results, widely(RECOVERED, 50.0)),
            claim("On sentiment tasks a transferred solution does as well as the delta it is sent to does in its own space (section 5.2.1).",
                  ", ".join(f"{paper.task_name(t)} {v:.1f}" for t, v in paper.rows(2, alike)[["test", paper.AVERAGE]].to_numpy()), has,
                  as_good_as_its_own(alike)),
            claim("Which delta a solution was found with makes no significant difference to its transfer (section 5.2.1).",
                  published(2, results, by_source), results, alike_as_sources),
            claim("What the adapter finds is transferred slightly less well (section 5.2.1).", published(2, results, behind_as_source), results, poorer_source),
            claim("Tuning in the subspace adds to what the training task's solutions give as they are (not in the paper).", "no such control", results,
                  surplus("own", LEFT)),
            claim("What is recovered is more than a guess (not in the paper).", "chance is not reported", results, surplus("own", ("chance", "majority"))),
            *transfers(results), overlap(planes), near(planes), wider(planes)]


def transfers(results: Results | None, where: str = "") -> list[Claim]:
    """Two questions that the paper does not ask of transfer: whether the other delta needs the vector that was found for it. where: begins them."""
    a = f"{where} a" if where else "A"
    return [claim(f"{a} transferred vector adds to what the other delta has from training tasks untuned (not in the paper).", "no such control", results,
                  surplus("moved", [c for c in LEFT if c != "own_vector"])),
            claim(f"{a} transferred vector does more than the other delta, tuned itself in a random subspace of as many dimensions (not in the paper).",
                  "no such control", results, surplus("moved", ["random"]))]


def table(claims: list[Claim]) -> HTML:
    return html([{"verdict": f"<b>{c.verdict}</b>", "claim": c.text, "ours": c.ours, "the paper's evidence": c.published, "holds if": c.rule} for c in claims])



def changes(before: Sequence[Claim], after: Sequence[Claim]) -> Markdown:
    """The claims whose verdict is another with other evidence, and that evidence."""
    now = {c.text: c for c in after}
    lines = [f"- {c.text.removesuffix('.')}: {c.verdict} → **{now[c.text].verdict}** ({now[c.text].ours.removesuffix(' (archived)')})."
             for c in before if c.text in now and now[c.text].verdict != c.verdict]
    return Markdown("\n".join(lines) or "No verdict is another.")


def tally(claims: list[Claim]) -> Markdown:
    """How many of the paper's claims, and of the questions that it does not ask, have which verdict."""
    def counted(some):
        return ", ".join(f"{n} {verdict}" for verdict, n in Counter(c.verdict for c in some).most_common())
    asked = [c for c in claims if c.text.endswith("(not in the paper).")]
    return Markdown(f"Of {len(claims) - len(asked)} claims: {counted([c for c in claims if c not in asked])}. Of {len(asked)} questions that the paper "
                    f"does not ask: {counted(asked)}.")
