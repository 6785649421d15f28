"""Claims that are read off planes through three solutions (figure 2).

The paper's rest on one seed each, as their rules say. planes: unseen task -> its plane, as `planes.drawn` returns it. A
question of ours is about the planes of several tasks and seeds.
"""

from IPython.display import Markdown

from unidelta import tasks
from unidelta.projections import KINDS
from unidelta.report.measures import LABEL, interval, markdown, number, over_seeds, points
from unidelta.report.planes import Plane, common
from unidelta.report.results import Results
from unidelta.report.verdicts import FAILS, HOLDS, NOT_RUN, OPEN, RECOVERED, Claim, claim, verdict


def read(text: str, planes: dict[str, Plane], ours: str, rule: str, known: str) -> Claim:
    """A claim read off planes of one seed, for which the paper has three pictures; not run if there are no planes."""
    return Claim(text, "three pictures (figure 2), no number", ours if planes else "–", rule,
                known if planes else NOT_RUN, seeds=1)


def overlap(planes: dict[str, Plane]) -> Claim:
    """Judge whether the region common to the three deltas is more than half of the smallest of their own regions.

    The smallest region bounds the common one. Where one delta has no region, there is nothing to compare."""
    texts, ratios = [], []
    for task, plane in planes.items():
        share = plane.share(RECOVERED)
        text = f"{task}: {share['all']:.1f} % of the plane"
        nowhere = [LABEL[k] for k in KINDS if not share[k]]
        if nowhere:
            texts.append(f"{text} ({', '.join(nowhere)}: nowhere)")
        else:
            ratio = 100 * share["all"] / min(share[k] for k in KINDS)
            ratios.append(ratio)
            texts.append(f"{text}, {number(ratio)} % of the smallest region of one delta")
    if any(ratio <= 50 for ratio in ratios):
        known = FAILS
    else:
        known = HOLDS if len(ratios) == len(planes) else OPEN
    return read("The local optima of the deltas overlap widely (section 5.2.3).",
                planes, "; ".join(texts),
                f"on every plane shown, all three reach {RECOVERED:.0f} % at once on more than half of the smallest "
                "of their own regions (one seed); open where one of them has none", known)


def near(planes: dict[str, Plane]) -> Claim:
    """Judge whether the solutions of all three deltas lie where the mean of the three is at RECOVERED.

    This is read at the point of the grid next to each solution. A plane cannot refute the claim if a solution is
    outside the grid, or below RECOVERED for its own delta: then there is no good region that it could lie in."""
    def at(plane, values, point):  # outside the grid nothing is known, and 0 is returned
        inside = point.abs().max() <= plane.axis.abs().max()
        return float(values[tuple((plane.axis - x).abs().argmin() for x in point)]) if inside else 0.0
    texts, apart, refuted = [], False, False
    for task, plane in planes.items():
        means = [at(plane, plane.relative.mean(0), point) for point in plane.points]
        poor = [LABEL[k] for k, values, point in zip(KINDS, plane.relative, plane.points, strict=True)
                if at(plane, values, point) < RECOVERED]
        note = (f" (below {RECOVERED:.0f} % with its own delta, or outside the grid: {', '.join(poor)})"
                if poor else "")
        texts.append(f"{task}: {sum(mean >= RECOVERED for mean in means)} of {len(means)}{note}")
        if min(means) < RECOVERED:
            apart = True
            refuted = refuted or not poor
    if refuted:
        known = FAILS
    else:
        known = OPEN if apart else HOLDS
    return read("The solutions of the three deltas almost lie in the same good region (section 5.2.3).",
                planes, "; ".join(texts),
                f"on every plane shown, all of them lie where the mean of the three is at {RECOVERED:.0f} % or more "
                "(by the nearest grid point, one seed); "
                "open where a solution is below that with its own delta, or outside the grid", known)


def wider(planes: dict[str, Plane]) -> Claim:
    """Report the size of the good region with many training tasks and with one.

    No number decides this: the axes are in units of the intrinsic vectors, and these are several times longer in one
    setting than in the other."""
    shares = {t: plane.share(RECOVERED)["mean"] for t, plane in planes.items()}
    one = [t for t, plane in planes.items() if plane.train in tasks.names()]
    many = [t for t in planes if t not in one]
    return read("The good region is much wider with many training tasks than with one (section 5.2.3).",
                planes, "; ".join(f"{t} {share:.1f} % of the plane" for t, share in shares.items())
                + f" ({', '.join(one) or 'none'} with one training task)",
                f"no rule: the share of a plane where the mean of the three is at {RECOVERED:.0f} % "
                "is measured along axes in units of the vectors, whose lengths differ between the two settings "
                "(one seed)",
                OPEN if one and many else NOT_RUN)


def in_common(results: Results) -> tuple[str, str, str]:
    """Judge whether on average the common region is more than half of the smallest. results: shares of many planes."""
    part = common(results.frame)
    value = over_seeds(results.frame, part)
    whole = over_seeds(results.frame, results.frame["all"])
    return (f"{number(*value)} % of the smallest, over {part.notna().sum()} of {len(part)} planes, those on which each "
            f"delta has such a region; {number(*whole)} % of the plane, over all of them",
            "the average within a seed above 50 % of the smallest", verdict([value], 50.0, len(results.seeds)))


def compared(before: Results, after: Results) -> Markdown:
    """Say whether other settings make more of the planes good, and whether more than half is then in common.

    before, after: shares of the same planes with either setting; their difference is taken plane by plane. What is
    common is an average over the planes that count with either setting, and its difference is taken seed by seed."""
    both = before.frame.merge(after.frame, on=["task", "seed"], suffixes=("_before", "_after"), validate="one_to_one")
    added = over_seeds(both, both["all_after"] - both["all_before"])
    ours, rule, known = in_common(after)
    then, now = (common(r.frame).groupby(r.frame.seed).mean() for r in (before, after))
    return markdown(f"- On the planes, the share where all three deltas reach {RECOVERED:.0f} % at once: "
                    f"{points(*added)} against the unchanged settings.\n"
                    f"- In common: {ours}. By the rule ({rule}): **{known}**. "
                    f"In percent of the smallest, {points(*interval(now - then))} against the unchanged settings.")


def every(planes: dict[str, Plane], more: Results | None = None) -> list[Claim]:
    """The paper's three claims, in its order, and ours. more: shares of the planes of several tasks and seeds."""
    return [overlap(planes), near(planes), wider(planes),
            claim(f"With one training task, the regions where the deltas recover {RECOVERED:.0f} % have more than half "
                  "of the smallest in common (not in the paper).",
                  "one picture (figure 2), no number", more, in_common)]
