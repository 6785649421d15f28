"""The paper's claims that are read off planes through three solutions (figure 2), of one seed each, as their rules say.

planes: unseen task -> its plane, as `planes.drawn` returns it.
"""

from unidelta import tasks
from unidelta.projections import KINDS
from unidelta.report.claims import FAILS, HOLDS, NOT_RUN, OPEN, RECOVERED, Claim
from unidelta.report.measures import LABEL, number
from unidelta.report.planes import Plane


def overlap(planes: dict[str, Plane]) -> Claim:
    """Judge whether the region common to the three deltas is more than half of the smallest of their own regions.

    The smallest region bounds the common one. Where one delta has no region, there is nothing to compare."""
    shares = {task: plane.share(RECOVERED) for task, plane in planes.items()}
    ratios = {t: 100 * s["all"] / least for t, s in shares.items() if (least := min(s[k] for k in KINDS))}
    text = "; ".join(f"{t}: {s['all']:.1f} % of the plane"
                     + (f", {number(ratios[t])} % of the smallest region of one delta" if t in ratios else
                        f" ({', '.join(LABEL[k] for k in KINDS if not s[k])}: nowhere)")
                     for t, s in shares.items())
    known = (NOT_RUN if not planes else FAILS if any(r <= 50 for r in ratios.values())
             else HOLDS if len(ratios) == len(planes) else OPEN)
    return Claim("The local optima of the deltas overlap widely (section 5.2.3).",
                 "three pictures (figure 2), no number", text,
                 f"on every plane shown, all three reach {RECOVERED:.0f} % at once on more than half of the smallest "
                 "region where one of them does (one seed); open where one of them nowhere does", known)


def near(planes: dict[str, Plane]) -> Claim:
    """Judge whether the solutions of all three deltas lie where the mean of the three is at RECOVERED.

    This is read at the point of the grid next to each solution. A plane cannot refute the claim if a solution is
    outside the grid, or below RECOVERED for its own delta: then there is no good region that it could lie in."""
    def at(plane, values, point):  # outside the grid nothing is known, and 0 is returned
        inside = point.abs().max() <= plane.axis.abs().max()
        return float(values[tuple((plane.axis - x).abs().argmin() for x in point)]) if inside else 0.0
    where = {t: [at(plane, plane.relative.mean(0), point) for point in plane.points] for t, plane in planes.items()}
    poor = {t: [LABEL[k] for k, values, point in zip(KINDS, plane.relative, plane.points, strict=True)
                if at(plane, values, point) < RECOVERED]
            for t, plane in planes.items()}
    notes = {t: f" (with its own delta below it, or outside the grid: {', '.join(names)})" if names else ""
             for t, names in poor.items()}
    text = "; ".join(f"{t}: {sum(v >= RECOVERED for v in each)} of {len(each)}{notes[t]}" for t, each in where.items())
    apart = [t for t, each in where.items() if min(each) < RECOVERED]
    return Claim("The solutions of the three deltas lie in the same good region (section 5.2.3).",
                 "three pictures (figure 2), no number", text,
                 f"on every plane shown, all of them lie where the mean of the three is at {RECOVERED:.0f} % or more "
                 "(by the next point of the grid, one seed); "
                 "open where a solution is below that with its own delta, or outside the grid",
                 NOT_RUN if not planes else HOLDS if not apart else FAILS if any(not poor[t] for t in apart) else OPEN)


def wider(planes: dict[str, Plane]) -> Claim:
    """Report the size of the good region with many training tasks and with one.

    No number decides this: the axes are in units of the intrinsic vectors, and these are several times longer in one
    setting than in the other."""
    shares = {t: plane.share(RECOVERED)["mean"] for t, plane in planes.items()}
    one, many = ([t for t, plane in planes.items() if (plane.train in tasks.names()) == alone]
                 for alone in (True, False))
    return Claim("The good region is much wider with many training tasks than with one (section 5.2.3).",
                 "three pictures (figure 2), no number",
                 "; ".join(f"{t} {share:.1f} % of the plane" for t, share in shares.items())
                 + f" ({', '.join(one) or 'none'} with one training task)",
                 f"no rule: the share of a plane where the mean of the three is at {RECOVERED:.0f} % "
                 "is of axes in the vectors' own units, and in the two settings these are of other lengths (one seed)",
                 OPEN if one and many else NOT_RUN)


def every(planes: dict[str, Plane]) -> list[Claim]:
    """All three claims, in the paper's order."""
    return [overlap(planes), near(planes), wider(planes)]
