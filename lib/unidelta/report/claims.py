"""The paper's claims, each with its published evidence, ours, and a verdict that follows from a stated rule.

The rules are those of `unidelta.report.verdicts`.
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import pandas as pd

from unidelta import paper
from unidelta.projections import KINDS
from unidelta.report.measures import (
    CONTROLS,
    LABEL,
    best_control,
    by_seed,
    interval,
    number,
    over_seeds,
    plural,
    relative,
    signed,
)
from unidelta.report.results import Results, joined
from unidelta.report.verdicts import (
    CLOSE,
    FAILS,
    HOLDS,
    OPEN,
    RECOVERED,
    Claim,
    Judge,
    claim,
    differ,
    verdict,
)

# what is there before anything is tuned for the unseen task
LEFT = ("train_solution", "own_vector", "mean_vector", "untuned")


def listed(values: dict[str, tuple]) -> str:
    return ", ".join(f"{LABEL[k]} {number(*v)}" for k, v in values.items())


def published(n: int, results: Results | None, say: Callable[[pd.DataFrame], str]) -> str:
    """What `say` makes of all rows of the paper's Table `n`, and also of those run here, if only some are."""
    table = paper.table(n)
    whole = table[table["test"] != paper.AVERAGE]
    here = whole if results is None else paper.rows(n, set(results.frame.task))
    text = say(whole)
    if 0 < len(here) < len(whole):
        text += f"; on the {len(here)} of its {len(whole)} rows counted here: {say(here)}"
    return text


def averages(rows: pd.DataFrame) -> str:
    """The average of every delta, from rows of the paper's Tables 1, 3, 6 and 7."""
    return listed({k: (rows[LABEL[k]].mean(),) for k in KINDS})


def counted(frame: pd.DataFrame) -> str:
    """How many tasks some rows are of, and the best of all controls there, tuned or not, in percent of E_ori."""
    best, _ = best_control(frame, [c for c in CONTROLS if c in frame])
    return (f"over {plural(frame.task.nunique(), 'task')} "
            f"({CONTROLS[best]}: {number(relative(frame, best).mean())})")


def recovered(results: Results) -> tuple[str, str, str]:
    """Judge whether every delta recovers more than RECOVERED in the subspace, on average."""
    values = {}
    for kind in results.kinds:
        mine = results.own[results.own.target == kind]
        values[kind] = over_seeds(mine, relative(mine))
    return (f"{listed(values)} {counted(results.own)}", f"each delta's mean above {RECOVERED:.0f}",
            verdict(list(values.values()), RECOVERED, len(results.seeds)))


def on_average(what: str) -> Judge:
    """Judge whether `own` or `moved` results are above RECOVERED on average."""
    def judge(results):
        frame = getattr(results, what)
        value = over_seeds(frame, relative(frame))
        return (f"{number(*value)} {counted(frame)}", f"the mean above {RECOVERED:.0f}",
                verdict([value], RECOVERED, len(results.seeds)))
    return judge


def average(rows: pd.DataFrame) -> str:
    """The overall average, from rows of one of the paper's tables."""
    return number(rows[paper.AVERAGE].mean())


def stays_below(task: str) -> Judge:
    """Judge whether transfer on one task recovers less than RECOVERED."""
    def judge(results):
        mine = results.moved[results.moved.task == task]
        mean, half = over_seeds(mine, relative(mine))
        every = number(by_seed(results.moved).mean())
        return (f"{number(mean, half)} (all {plural(results.moved.task.nunique(), 'task')}: {every})",
                f"its mean below {RECOVERED:.0f}; whether it lies below the other tasks is not asked",
                verdict([(-mean, half)], -RECOVERED, len(results.seeds)))
    return judge


def widely(level: float, share: float) -> Judge:
    """Judge whether transfer reaches `level` percent of E_ori on more than `share` percent of the unseen tasks.

    All seeds use the same rows, so a count that is the same for each seed says little. What is judged is how many tasks
    reach the level with their whole interval, and how many may reach it."""
    def judge(results):
        each = [over_seeds(f, relative(f)) for _, f in results.moved.groupby("task", sort=False)]
        at = sum(mean >= level for mean, _ in each)
        surely = sum(mean - half >= level for mean, half in each)
        perhaps = sum(not mean + half < level for mean, half in each)  # with those that have no ratio or no interval
        wanted = share / 100 * len(each)
        return (f"{at} of {plural(len(each), 'task')} by their means, {surely} with their whole interval; "
                f"at most {perhaps} can reach the level",
                f"more than {share:.0f} % of the tasks have their whole interval at {level:.0f} or above; "
                f"does not hold if at most {share:.0f} % can reach this level",
                HOLDS if surely > wanted else FAILS if perhaps <= wanted else OPEN)
    return judge


def ahead(results: Results) -> tuple[str, str, str]:
    """Judge whether the adapter recovers more than each of the other two in the subspace, paired by seed."""
    means = {k: by_seed(results.own[results.own.target == k]) for k in KINDS}
    leads = {k: interval(means["adapter"] - means[k]) for k in KINDS if k != "adapter"}
    return ("; ".join(f"{signed(*v)} points against {LABEL[k]}" for k, v in leads.items()),
            "both differences lie above zero", verdict(list(leads.values()), 0.0, len(results.seeds)))


def leads(rows: pd.DataFrame) -> str:
    """The lead of the adapter over each of the other two, from rows of the paper's Tables 1 and 3."""
    return "; ".join(f"{signed((rows['Adapter'] - rows[LABEL[k]]).mean())} points against {LABEL[k]}"
                     for k in KINDS if k != "adapter")


def poorer_source(results: Results) -> tuple[str, str, str]:
    """Judge whether what the adapter finds is transferred less well than what the other two find, paired by seed."""
    from_adapter = results.moved.source == "adapter"
    points = interval(by_seed(results.moved[~from_adapter]) - by_seed(results.moved[from_adapter]))
    return (f"{signed(*points)} points, the others minus the adapter", "the difference lies above zero",
            verdict([points], 0.0, len(results.seeds)))


def alike_as_sources(results: Results) -> tuple[str, str, str]:
    """Judge whether it makes no difference to transfer which delta a vector was found with.

    The deltas are compared pair by pair, paired by seed. Each of the three intervals is widened because there are
    three."""
    means = {k: by_seed(results.moved[results.moved.source == k]) for k in KINDS}
    pairs = list(combinations(KINDS, 2))
    found = {(a, b): interval(means[a] - means[b], len(pairs)) for a, b in pairs}
    known = {True: FAILS, False: HOLDS, None: OPEN}[differ(found.values())]
    return ("; ".join(f"{LABEL[a]} minus {LABEL[b]} {signed(*value)}" for (a, b), value in found.items()) + " points",
            f"all {len(pairs)} differences lie within {CLOSE:.0f} points with their whole intervals; "
            f"does not hold if one excludes zero, its interval widened because there are {len(pairs)}", known)


def by_source(rows: pd.DataFrame) -> str:
    """The average transfer of what each delta finds, from rows of the paper's Tables 2 and 4."""
    means = {}
    for kind in KINDS:
        directions = [name for name in rows if name.startswith(f"{kind[0].upper()}->")]
        means[kind] = (rows[directions].mean().mean(),)
    return listed(means)


def behind_as_source(rows: pd.DataFrame) -> str:
    """How far transfer from the adapter lies behind that from the others, from rows of the paper's Tables 2 and 4."""
    means = rows[[name for name in rows if "->" in name]].mean()
    from_adapter = means.index.str.startswith("A->")
    behind = means[~from_adapter].mean() - means[from_adapter].mean()
    return f"{signed(behind)} points, the others minus the adapter"


def as_good_as_its_own(wanted: Sequence[str]) -> Judge:
    """Judge whether transfer reaches E_ori, within CLOSE, on each of the wanted tasks."""
    def judge(results):
        values = {t: over_seeds(f, relative(f))
                  for t, f in results.moved[results.moved.task.isin(wanted)].groupby("task")}
        return (", ".join(f"{t} {number(*v)}" for t, v in values.items()), f"each task's mean above {100 - CLOSE:.0f}",
                verdict(list(values.values()), 100 - CLOSE, len(results.seeds)))
    return judge


def surplus(what: str, over: Sequence[str]) -> Judge:
    """Judge whether every delta's `own` or `moved` results exceed its best control among `over`, paired by seed."""
    def judge(results):
        frame = getattr(results, what)
        controls = [c for c in over if c in frame]
        each = {k: best_control(frame[frame.target == k], controls) for k in results.kinds}
        over_control: dict[str, dict[str, tuple]] = {}
        for kind, (best, added) in each.items():
            over_control.setdefault(best, {})[kind] = added
        return ("; ".join(f"{listed(gains)} points over {CONTROLS[best]}" for best, gains in over_control.items()),
                "each delta's interval lies above zero" + ", over the best of these controls for it" * (len(over) > 1),
                verdict([added for _, added in each.values()], 0.0, len(results.seeds)))
    return judge


def asymmetric(results: Results) -> tuple[str, str, str]:
    """Judge whether transfer is asymmetric.

    The two directions of each pair of deltas are compared, paired by seed. Each of the three intervals is widened
    because there are three."""
    def sent(source, target):
        return by_seed(results.moved[(results.moved.source == source) & (results.moved.target == target)])
    pairs = list(combinations(KINDS, 2))
    found = {(s, t): interval(sent(s, t) - sent(t, s), len(pairs)) for s, t in pairs}
    known = {True: HOLDS, False: FAILS, None: OPEN}[differ(found.values())]
    ours = "; ".join(f"{LABEL[s]} to {LABEL[t]} minus the way back {number(*value)}"
                     for (s, t), value in found.items())
    return (f"{ours} points",
            f"one of the {len(pairs)} differences excludes zero, its interval widened because there are {len(pairs)}; "
            f"does not hold if all lie within {CLOSE:.0f} points with their whole intervals", known)


def every(results: Results, long: Results | None = None) -> list[Claim]:
    """The claims of the single-task setting, in the paper's order.

    Those read off planes are in `unidelta.report.claims_planes`, those that need archived studies in
    `unidelta.report.claims_archived`. long: the rows with long answers, which the paper includes in its averages and in
    its numbers of tasks."""
    whole = joined(results, long)
    alike = ["rotten_tomatoes", "amazon_polarity"]
    has = results if set(alike) & set(results.frame.task) else None
    return [claim("Every delta recovers more than 80 % on average in the subspace of one training task "
                  "(section 5.2.1).",
                  published(1, whole, averages), whole, recovered),
            claim("The adapter recovers most (section 5.2.1).", published(1, results, leads), results, ahead),
            claim("A solution found with one delta, sent through another's map, recovers more than 80 % "
                  "on more than half of the unseen tasks (section 5.2.1).",
                  published(2, whole, lambda rows: f"{(rows[paper.AVERAGE] > RECOVERED).sum()} of {len(rows)} tasks"),
                  whole, widely(RECOVERED, 50.0)),
            claim("Transfer recovers more than 80 % on average (section 5.2.1).", published(2, whole, average), whole,
                  on_average("moved")),
            claim("Transfer recovers less than 80 % on WSC (section 5.2.1).",
                  number(paper.average(2, ["superglue-wsc"])),
                  results if "superglue-wsc" in set(results.moved.task) else None, stays_below("superglue-wsc"), False),
            claim("On sentiment tasks a transferred solution does as well as the delta it is sent to does "
                  "in its own space (section 5.2.1).",
                  ", ".join(f"{paper.task_name(t)} {v:.1f}"
                            for t, v in paper.rows(2, alike)[["test", paper.AVERAGE]].to_numpy()), has,
                  as_good_as_its_own(alike), False),
            claim("Which delta a solution was found with makes no significant difference to its transfer "
                  "(section 5.2.1).",
                  published(2, results, by_source), results, alike_as_sources),
            claim("What the adapter finds is transferred slightly less well (section 5.2.1).",
                  published(2, results, behind_as_source), results, poorer_source),
            claim("Tuning in the subspace adds to what the training task's solutions give as they are "
                  "(not in the paper).",
                  "no such control", results, surplus("own", LEFT)),
            claim("Tuning in the subspace adds to the training task's solution with its length fitted, "
                  "which tunes one number (not in the paper).",
                  "no such control", results, surplus("own", ["scaled_solution"])),
            claim("On average over the tasks, what is recovered is more than a guess (not in the paper).",
                  "chance is not reported", results,
                  surplus("own", ("chance", "majority"))),
            *transfers(results)]


def transfers(results: Results | None, where: str = "") -> list[Claim]:
    """Three questions that the paper does not ask: does transfer need the vector that was found for the other delta?

    where: words that each of them begins with."""
    a = f"{where} a" if where else "A"
    return [claim(f"{a} transferred vector adds to what the other delta reaches from the training tasks "
                  "without tuning (not in the paper).",
                  "no such control", results, surplus("moved", LEFT)),
            claim(f"{a} transferred vector does more than the other delta's training solution with its length fitted "
                  "(not in the paper).",
                  "no such control", results, surplus("moved", ["scaled_solution"])),
            claim(f"{a} transferred vector does more than the other delta, tuned itself in a random subspace "
                  "of as many dimensions (not in the paper).",
                  "no such control", results, surplus("moved", ["random"]))]