"""The claims of the paper that need archived studies: many training tasks, other dimensions, the simplified pipeline, fine-tuning.

The rules are those of `unidelta.report.claims`. A study that is not archived, or was archived with another backbone, leaves its claims not run.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from unidelta import paper, suite
from unidelta.projections import KINDS
from unidelta.report import archive
from unidelta.report.archive import Archived
from unidelta.report.claims import CLOSE, FAILS, HOLDS, OPEN, RECOVERED, Claim, not_run, verdict
from unidelta.report.convergence import lag, of_subspaces
from unidelta.report.measures import LABEL, interval, number, over_seeds, relative
from unidelta.report.results import Results

AROUND = 78.0  # percent of E_ori that the paper calls around 80: on WSC's eight companions its lowest average is 78.8
Study = dict[str, Archived]


def judged_by(results: Results) -> dict[str, Study]:
    """The archived studies that were obtained with the backbone of `results`; those of another cannot be set against it."""
    found = {name: archive.load(name) for name in archive.names()}
    return {name: study for name, study in found.items() if all(results.run.backbone.fingerprint in r.line for r in study.values())}


def by_seed(frame: pd.DataFrame) -> pd.Series:
    """Mean relative performance within each seed."""
    return relative(frame).groupby(frame.seed).mean()


def gain(one: pd.DataFrame, other: pd.DataFrame) -> tuple[float, float]:
    """Relative performance of `other` minus that of `one`, over the tasks both have, paired by seed: mean and half interval, in points."""
    tasks = set(one.task) & set(other.task)
    first, second = (by_seed(f[f.task.isin(tasks)]) for f in (one, other))
    return interval((second - first).dropna())


def long_answers(few: Results | None) -> Claim:
    """The rows of Table 1 whose answers are sentences, which the average of the other claims is without."""
    theirs = {paper.task_name(row["test"]): row[paper.AVERAGE] for row in paper.rows(1, suite.LONG_UNSEEN).to_dict("records")}
    text, said = "Answers of a sentence are recovered, too (the ELI5 rows of Table 1).", ", ".join(f"{name} {v:.1f}" for name, v in theirs.items())
    if few is None:
        return not_run(text, said)
    values = {name: over_seeds(f, relative(f)) for name, f in few.own.groupby("task")}
    return Claim(text, said, ", ".join(f"{name} {number(*v)}" for name, v in values.items()) + " (archived)", f"each row's mean above {RECOVERED:.0f}",
                 verdict(list(values.values()), RECOVERED))


def more_tasks(results: Results, many: Results | None, task: str = "superglue-wsc") -> Claim:
    """Transfer on WSC: Table 4 against Table 2."""
    theirs = [paper.table(n).set_index("test").loc["WSC", paper.AVERAGE] for n in (2, 4)]
    text = "Many training tasks make a better subspace than one: transfer on WSC (section 5.2.2)."
    said = f"{theirs[0]:.1f} single-task, {theirs[1]:.1f} multi-task"
    if many is None or task not in set(results.moved.task) & set(many.moved.task):
        return not_run(text, said)
    one, other = (r.moved[r.moved.task == task] for r in (results, many))
    points = gain(one, other)
    return Claim(text, said, f"{number(by_seed(one).mean())} single-task, {number(by_seed(other).mean())} multi-task: {number(*points)} points (archived)",
                 "the difference lies above zero", verdict([points], 0.0))


def recovery(many: Results | None) -> Claim:
    """Table 3."""
    theirs = paper.table(3).set_index("test").loc[paper.AVERAGE]
    text = "In the subspace of many tasks every delta recovers more than 80 % on average (section 5.2.2)."
    said = listed({k: (theirs[LABEL[k]],) for k in KINDS})
    if many is None:
        return not_run(text, said)
    values = {k: over_seeds(f, relative(f)) for k, f in ((k, many.own[many.own.target == k]) for k in many.kinds)}
    return Claim(text, said, f"{listed(values)} (archived)", f"each delta's mean above {RECOVERED:.0f}", verdict(list(values.values()), RECOVERED))


def beyond_random(many: Results | None) -> Claim:
    """A question that the paper does not ask: in a hundred dimensions, chosen directions may matter less than in four."""
    text, said = "(Not in the paper.) There, a trained subspace recovers more than a random one of as many dimensions.", "no such control"
    if many is None:
        return not_run(text, said)
    seeds = many.own.seed
    points = interval(by_seed(many.own) - relative(many.own, "random").groupby(seeds).mean())
    return Claim(text, said, f"{number(*points)} points more (archived)", "the difference lies above zero", verdict([points], 0.0))


def listed(values: dict[str, Sequence[float]]) -> str:
    return ", ".join(f"{LABEL[k]} {number(*v)}" for k, v in values.items())


def prefix_behind(many: Results | None) -> Claim:
    """Table 3, in which the prefix is about ten points poorer."""
    theirs = paper.table(3).set_index("test").loc[paper.AVERAGE]
    text = "There, prefix-tuning recovers less than the other two (section 5.2.2)."
    said = f"{(theirs['Adapter'] + theirs['LoRA']) / 2 - theirs['Prefix']:.1f} points less than their mean"
    if many is None:
        return not_run(text, said)
    means = {k: by_seed(many.own[many.own.target == k]) for k in KINDS}
    points = interval((means["adapter"] + means["lora"]) / 2 - means["prefix"])
    return Claim(text, said, f"{number(*points)} points less (archived)", "the difference lies above zero", verdict([points], 0.0))


def transferred(many: Results | None) -> Claim:
    """Table 4."""
    theirs = paper.table(4)
    theirs = theirs[theirs["test"] != paper.AVERAGE][paper.AVERAGE]
    text = "There, transfer recovers around 80 % or more on nearly all unseen tasks (section 5.2.2)."
    said = f"{(theirs >= AROUND).sum()} of {len(theirs)} tasks at {AROUND:.0f} or more"
    if many is None:
        return not_run(text, said)
    mean = relative(many.moved).groupby([many.moved.seed, many.moved.task]).mean()
    share = interval(100 * (mean >= AROUND).groupby("seed").mean())
    return Claim(text, said, f"{number(*share)} % of {many.moved.task.nunique()} tasks (archived)", f"share of tasks at {AROUND:.0f} or more above 80 %",
                 verdict([share], 80.0))


def slowest(many: Archived | None) -> Claim:
    """From the logs of the approximation."""
    text, said = "When it is approximated, the prefix's loss converges much slower than the others' (section 5.2.2).", "said, without a curve"
    if many is None:
        return not_run(text, said)
    late = lag(of_subspaces(many.logs("approximate")))
    return Claim(text, said, f"nine tenths of the way {number(*late)} % of the steps after the slower of the two others (archived)",
                 "the lag lies above zero", verdict([late], 0.0))


def dimensions(study: Study) -> Claim:
    """y = 4 against each other y of the single-task setting."""
    text, said = "With one training task the dimension, 4, 8 or 16, hardly matters (section 5.1).", "said, without numbers"
    points = {name: gain(study["as it is"].own, other.own) for name, other in study.items() if name.startswith("y=") and "as it is" in study}
    if not points:
        return not_run(text, said)
    apart = [abs(mean) - half > CLOSE for mean, half in points.values()]
    same = all(abs(mean) + half < CLOSE for mean, half in points.values())
    ours = "; ".join(f"{name} against y=4: {number(*v)} points" for name, v in points.items())
    return Claim(text, said, f"{ours} (archived)", f"every interval within {CLOSE:.0f} points", HOLDS if same else FAILS if any(apart) else OPEN)


def more_dimensions(few: Results | None, many: Results | None) -> Claim:
    """few: results of the multi-task setting with the smaller y."""
    text, said = "With many training tasks, more dimensions recover more (section 5.1).", "said, without numbers"
    if few is None or many is None:
        return not_run(text, said)
    points = gain(few.own, many.own)
    return Claim(text, said, f"y={many.run.profile.y} against y={few.run.profile.y}: {number(*points)} points (archived)", "the difference lies above zero",
                 verdict([points], 0.0))


def simpler(results: Results, shared: Results | None) -> Claim:
    """Table 6 against Table 1, on the same unseen tasks."""
    theirs = [paper.table(n).set_index("test").loc[paper.AVERAGE, paper.AVERAGE] for n in (1, 6)]
    text, said = "The simplified pipeline represents as much as the main one (appendix A.3).", f"{theirs[0]:.1f} in Table 1, {theirs[1]:.1f} in Table 6"
    if shared is None:
        return not_run(text, said)
    points = gain(results.own, shared.own)
    return Claim(text, said, f"{number(*points)} points above the main pipeline (archived)", f"no more than {CLOSE:.0f} points below it",
                 verdict([points], -CLOSE))


def joining(fine: Results | None) -> Claim:
    """fine: results of the simplified pipeline with fine-tuning among the methods (Table 5)."""
    theirs = paper.table(5).drop(columns="source").to_numpy()
    text, said = "Full fine-tuning joins the same subspace (section 5.3).", f"Table 5: {theirs.min():.1f} to {theirs.max():.1f} in all 16 directions"
    if fine is None:
        return not_run(text, said)
    rows = fine.frame[(fine.frame.source == "finetune") | (fine.frame.target == "finetune")]
    value = over_seeds(rows, relative(rows))
    return Claim(text, said, f"{number(*value)} over the seven directions from or to fine-tuning ({', '.join(fine.frame.task.unique())}, archived)",
                 f"their mean above {RECOVERED:.0f}", verdict([value], RECOVERED))


def comparable(absolute: Results | None) -> Claim:
    """absolute: every method in its own space, the rows of Tables 10 and 11."""
    theirs = paper.table(10)
    theirs = theirs[theirs["test"] != paper.AVERAGE].select_dtypes("number").mean()
    text = "In their own space the deltas come close to full fine-tuning (section 1, appendix A.6)."
    said = listed({k: (theirs[LABEL[k]] - theirs[LABEL["finetune"]],) for k in KINDS}) + " points (means of Table 10's rows)"
    if absolute is None:
        return not_run(text, said)
    means = {k: absolute.frame[absolute.frame.target == k].groupby("seed").ori.mean() for k in absolute.kinds}
    behind = {k: interval(means[k] - means["finetune"]) for k in KINDS}
    return Claim(text, said, f"{listed(behind)} points over {absolute.frame.task.nunique()} tasks (archived)",
                 f"no delta's mean more than {CLOSE:.0f} points below fine-tuning's", verdict(list(behind.values()), -CLOSE))


def every(results: Results, found: dict[str, Study]) -> list[Claim]:
    """All of them, in the paper's order. found: `judged_by`, or nothing."""
    base, y = found.get("multi_task", {}).get("as it is"), found.get("dimension", {})
    fine, absolute = (found.get(name, {}).get("as it is") for name in ("finetune", "absolute"))
    simple, long = found.get("simplified", {}).get("single"), found.get("long_answers", {}).get("as it is")
    return [long_answers(long), dimensions(y), more_dimensions(y.get("many tasks, y=20"), y.get("many tasks, y=100")), more_tasks(results, base),
            recovery(base), beyond_random(base), prefix_behind(base), transferred(base), slowest(base), joining(fine), simpler(results, simple),
            comparable(absolute)]
