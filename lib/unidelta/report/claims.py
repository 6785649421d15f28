"""The paper's claims, each with its published evidence, ours, and a verdict that follows from a stated rule.

A claim about a threshold holds if the whole interval over seeds lies on its side of it, does not hold if the whole interval lies on the
other, and is open otherwise; with one seed there is no interval and no verdict. What a claim needs and was not run is said to be so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from IPython.display import HTML

from unidelta import paper
from unidelta.projections import KINDS
from unidelta.report.measures import CONTROLS, LABEL, PAIRS, html, interval, number, over_seeds, relative
from unidelta.report.results import Results
from unidelta.stages.landscapes import Plane

RECOVERED = 80.0  # percent of E_ori that the paper calls recovered
CLOSE = 5.0       # points within which two means count as the same; the paper does not say
HOLDS, FAILS, OPEN, NOT_RUN = "holds", "does not hold", "open", "not run"


@dataclass(frozen=True)
class Claim:
    text: str        # the claim, in our words, and where it is made
    published: str   # the paper's evidence
    ours: str        # ours, mean and half interval over seeds
    rule: str        # when it holds
    verdict: str


def verdict(values: list[tuple[float, float]], threshold: float) -> str:
    """HOLDS, FAILS or OPEN for a claim that all of (mean, half interval) lie above a threshold."""
    if any(half != half for _, half in values):
        return OPEN
    if all(mean - half > threshold for mean, half in values):
        return HOLDS
    return FAILS if any(mean + half < threshold for mean, half in values) else OPEN


def recovery(results: Results) -> Claim:
    rows = {k: results.own[results.own.target == k] for k in results.kinds}
    values = {k: over_seeds(f, relative(f)) for k, f in rows.items()}
    theirs = paper.table(1).set_index("test").loc[paper.AVERAGE]
    return Claim("Every delta recovers more than 80 % on average in the subspace of one training task (section 5.1).",
                 ", ".join(f"{LABEL[k]} {theirs[LABEL[k]]:.1f}" for k in results.kinds), ", ".join(f"{LABEL[k]} {number(*v)}" for k, v in values.items()),
                 f"each delta's mean above {RECOVERED:.0f}", verdict(list(values.values()), RECOVERED))


def transferred(results: Results) -> Claim:
    theirs = paper.table(2)
    theirs = theirs[theirs["test"] != paper.AVERAGE][paper.AVERAGE]
    wanted = 100 * (theirs > RECOVERED).mean()
    mean = relative(results.moved).groupby([results.moved.seed, results.moved.task]).mean()
    share = interval(100 * (mean > RECOVERED).groupby("seed").mean())
    return Claim("A solution found with one delta, sent through another's map, recovers more than 80 % on more than half of the unseen tasks (section 5.1).",
                 f"{(theirs > RECOVERED).sum()} of {len(theirs)} tasks ({wanted:.0f} %)", f"{number(*share)} % of {results.moved.task.nunique()} tasks",
                 "share of tasks above 50 %", verdict([share], 50.0))


def asymmetry(results: Results) -> Claim:
    """Directions are compared pair by pair, paired by seed; each of the three intervals allows for there being three."""
    theirs, found, pairs = paper.table(4).set_index("test").loc[paper.AVERAGE], {}, len(PAIRS) // 2
    for s, t in PAIRS:
        if (t, s) not in found:
            means = [relative(f).groupby(f.seed).mean() for f in (results.moved[(results.moved.source == a) & (results.moved.target == b)]
                                                                   for a, b in ((s, t), (t, s)))]
            found[s, t] = interval(means[0] - means[1], pairs)
    if any(half != half for _, half in found.values()):
        known = OPEN
    else:
        known = HOLDS if any(abs(mean) > half for mean, half in found.values()) else \
            FAILS if all(abs(mean) + half <= CLOSE for mean, half in found.values()) else OPEN
    ours = "; ".join(f"{LABEL[s]} to {LABEL[t]} minus the way back {number(*value)}" for (s, t), value in found.items())
    return Claim("Transfer is not symmetric (section 5.2.2).", f"Prefix to Adapter {theirs['P->A']:.1f}, Adapter to Prefix {theirs['A->P']:.1f} (multi-task)",
                 f"{ours} points (single-task)",
                 f"one of the {pairs} differences excludes zero, its interval widened for there being {pairs}; not if all lie within {CLOSE:.0f} points", known)


def overlap(planes: dict[str, Plane]) -> Claim:
    """The three deltas' common region against the smallest of their own, which bounds it."""
    shares = {task: plane.share(RECOVERED) for task, plane in planes.items()}
    ratios = {t: 100 * s["all"] / least if (least := min(s[k] for k in KINDS)) else float("nan") for t, s in shares.items()}
    text = "; ".join(f"{t}: {s['all']:.1f} % of the plane" + (f", {number(ratios[t])} % of the smallest region of one delta" if ratios[t] == ratios[t] else
                     ", a delta has no such region") for t, s in shares.items())
    holds = all(r > 50 for r in ratios.values())
    return Claim("The local optima of the deltas overlap widely (section 5.2.3).", "three pictures (figure 2), no number", text,
                 f"on every plane shown, all three reach {RECOVERED:.0f} % at once on more than half of the smallest region where one of them does (one seed)",
                 HOLDS if holds else FAILS)


def gain(results: Results, over: Sequence[str]) -> tuple[str, tuple[float, float]]:
    """The best of some controls, on average, and by how many points E_sub lies above it, paired by seed, in percent of E_ori."""
    means = pd.DataFrame({c: relative(results.own, c).groupby(results.own.seed).mean() for c in over})
    best = means.mean().idxmax()
    return best, interval(relative(results.own).groupby(results.own.seed).mean() - means[best])


def tuning(results: Results) -> Claim:
    """A question that the paper does not ask: what is tuned in the subspace, and what is there before."""
    best, points = gain(results, ("train_solution", "own_vector", "mean_vector", "untuned"))
    return Claim("(Not in the paper.) Tuning in the subspace adds to what the training task's solutions give as they are.", "no such control",
                 f"{number(*points)} points over the best of them ({CONTROLS[best]})", "the gain's interval lies above zero", verdict([points], 0.0))


def guessing(results: Results) -> Claim:
    """Another: whether what is recovered is more than an answer at random, or always the same one, would get."""
    best, points = gain(results, ("chance", "majority"))
    return Claim("(Not in the paper.) What is recovered is more than a guess.", "chance is not reported",
                 f"{number(*points)} points over {CONTROLS[best]}", "the gain's interval lies above zero", verdict([points], 0.0))


def not_run(text: str, published: str) -> Claim:
    return Claim(text, published, "–", "–", NOT_RUN)


def every(results: Results, planes: dict[str, Plane]) -> list[Claim]:
    """The claims of the single-task setting, in the paper's order; those that need archived studies are in `unidelta.report.claims_archived`."""
    return [recovery(results), transferred(results), tuning(results), guessing(results), asymmetry(results), overlap(planes)]


def table(claims: list[Claim]) -> HTML:
    return html([{"claim": c.text, "the paper's evidence": c.published, "ours": c.ours, "holds if": c.rule, "verdict": f"<b>{c.verdict}</b>"} for c in claims])
