"""The paper's claims that need archived studies: many training tasks, other y, the simplified pipeline, fine-tuning.

The rules are those of `unidelta.report.verdicts`. The claims of a study that is not archived, or was archived with
another backbone or other settings, count as not run.
"""

from dataclasses import replace
from statistics import mean

from unidelta import paper, suite
from unidelta.projections import KINDS
from unidelta.report import archive, claims, claims_planes
from unidelta.report.archive import Archived
from unidelta.report.claims import listed, stays_below, surplus
from unidelta.report.convergence import DIST, TASK, arrivals, lag, of_subspaces
from unidelta.report.measures import LABEL, by_seed, gain, interval, number, over_seeds, relative, signed, weak, widened
from unidelta.report.planes import Plane
from unidelta.report.results import Results, complete, joined
from unidelta.report.verdicts import CLOSE, FAILS, HOLDS, OPEN, RECOVERED, Claim, Judge, claim, verdict

# percent of E_ori that the paper calls around 80: apart from ETHOS-Gender, the lowest average in its Table 4 is 78.8
AROUND = 78.0
Study = dict[str, Archived]


def judged_by(results: Results) -> dict[str, Study]:
    """The archived studies of the backbone of `results`, if they have its settings: others cannot be compared with it.

    A study changes settings itself; those that it leaves are those of the results it calls "unchanged", and one study
    at least must have these with just the settings of `results`. Rows with long answers are not judged together with a
    choice of the others."""
    found = {name: archive.load(name) for name in archive.names()}
    if not any(archive.same_settings(study["unchanged"], results) for study in found.values() if "unchanged" in study):
        return {}
    return {name: study for name, study in found.items()
            if all(results.run.backbone.fingerprint in r.line for r in study.values())
            and (name != "long_answers" or complete(results))}


def with_more_seeds(found: dict[str, Study]) -> dict[str, Study]:
    """The studies in `found`, where variants that `more_seeds` has as "study: variant" take the place of theirs."""
    more = found["more_seeds"]
    others = {name: dict(study) for name, study in found.items() if name != "more_seeds"}
    for name, results in more.items():
        if ": " in name:
            study, variant = name.split(": ", 1)
            others.setdefault(study, {})[variant] = results
    if "dimension" in others:  # its other y are compared with this one
        others["dimension"]["unchanged"] = more["unchanged"]
    return others


def each_row(long: Results) -> tuple[str, str, str]:
    values = {name: over_seeds(f, relative(f)) for name, f in long.own.groupby("task")}
    return (", ".join(f"{name} {number(*v)}" for name, v in values.items()),
            f"each row's mean above {RECOVERED:.0f}",
            verdict(list(values.values()), RECOVERED, len(long.seeds)))


def more_tasks(few: Results, task: str) -> Judge:
    """Judge whether transfer on one task is better with many training tasks than with one. few: results with one."""
    def judge(many):
        one, other = (r.moved[r.moved.task == task] for r in (few, many))
        points, noise = gain(one, other), gain(one, other, "random")
        return (f"{number(by_seed(one).mean())} single-task, {number(by_seed(other).mean())} multi-task: "
                f"{number(*points)} points; tuned in a random subspace {signed(*noise)}, "
                "because y and the steps differ, too",
                "the difference lies above zero", verdict([points], 0.0, len(many.seeds)))
    return judge


def prefix_behind(many: Results) -> tuple[str, str, str]:
    means = {k: by_seed(many.own[many.own.target == k]) for k in KINDS}
    points = interval((means["adapter"] + means["lora"]) / 2 - means["prefix"])
    return (f"{signed(*points)} points, the other two minus the prefix", "the difference lies above zero",
            verdict([points], 0.0, len(many.seeds)))


def slowest(many: Archived) -> tuple[str, str, str]:
    """Judge whether the prefix's task loss comes down later than the others', from the logs of the approximation."""
    curves = of_subspaces(many.logs("approximate"))
    late = lag(curves, len(many.seeds))
    step = 100 / len(curves[TASK]["prefix"][0])
    other = {k: (when.mean(),) for k, when in arrivals(curves[DIST], len(many.seeds)).items()}
    return (f"its task loss comes down {signed(*late)} % of the steps later than the slower of the other two "
            f"(the logs see steps of {step:.0f} % and no variation below that); the reconstruction is down after "
            f"{listed(other)} %",
            "the lag of the task loss, to a loss that all three reach, lies above zero; "
            "how much slower is “much” the paper does not say", verdict([late], 0.0, len(many.seeds)))


def dimensions(study: Study) -> Judge:
    """Judge whether each other y of the single-task setting differs from y = 4 by less than CLOSE."""
    def judge(base):
        points = {name: gain(base.own, other.own) for name, other in study.items() if name.startswith("y=")}
        wider = widened(len(base.seeds), len(points))
        apart = any(abs(mean) - wider * half > CLOSE for mean, half in points.values())
        same = all(abs(mean) + half < CLOSE for mean, half in points.values())
        return ("; ".join(f"{name} against y=4: {number(*v)} points" for name, v in points.items()),
                f"every interval within {CLOSE:.0f} points",
                HOLDS if same else FAILS if apart else OPEN)
    return judge


def more_dimensions(few: Results) -> Judge:
    """Judge whether a larger y recovers more. few: results of the multi-task setting with the smaller y."""
    def judge(many):
        points, noise = gain(few.own, many.own), gain(few.own, many.own, "random")
        return (f"y={many.run.profile.y} against y={few.run.profile.y}: {number(*points)} points; "
                f"in a random subspace {number(*noise)}",
                "the difference lies above zero", verdict([points], 0.0, len(many.seeds)))
    return judge


def no_poorer(results: Results, what: str) -> Judge:
    """Judge whether the simplified pipeline lies at most CLOSE below the main one, on the same unseen tasks.

    results: those of the main pipeline, of which `what` is compared: `own` or `moved`."""
    def judge(shared):
        points = gain(getattr(results, what), getattr(shared, what))
        return (f"{signed(*points)} points", f"no more than {CLOSE:.0f} points less than with the main pipeline",
                verdict([points], -CLOSE, len(shared.seeds)))
    return judge


def within(one: Results | None, other: Results | None) -> Results | None:
    """`one` on the tasks that `other` has, too; None if there are none."""
    if not (one and other):
        return None
    frame = one.frame[one.frame.task.isin(other.frame.task)]
    return replace(one, frame=frame) if len(frame) else None


def simplified(main: int, simple: int, results: Results | None) -> str:
    """The average of a table of the paper's simplified pipeline minus that of its main pipeline, over the same rows."""
    def minus(rows):
        other = paper.rows(main, [paper.task_name(t) for t in rows["test"]])
        return f"{signed(rows[paper.AVERAGE].mean() - other[paper.AVERAGE].mean())} points"
    return f"Table {simple} minus Table {main}: " + claims.published(simple, results, minus)


def joining(fine: Results) -> tuple[str, str, str]:
    """Judge whether the directions from or to fine-tuning recover more than RECOVERED on average.

    fine: results of the simplified pipeline with fine-tuning among the methods (Table 5)."""
    rows = fine.frame[(fine.frame.source == "finetune") | (fine.frame.target == "finetune")]
    value = over_seeds(rows, relative(rows))
    return (f"{number(*value)} over the seven directions from or to fine-tuning, its own among them; "
            f"{', '.join(fine.frame.task.unique())}, {claims.counted(rows)}", f"their mean above {RECOVERED:.0f}",
            verdict([value], RECOVERED, len(fine.seeds)))


def inferior(fine: Results) -> tuple[str, str, str]:
    """Judge whether transfer from or to fine-tuning is worse than transfer among the deltas."""
    taking_part = (fine.moved[["source", "target"]] == "finetune").any(axis=1)
    points = interval(by_seed(fine.moved[~taking_part]) - by_seed(fine.moved[taking_part]))
    return (f"{signed(*points)} points, among the deltas minus with fine-tuning", "the difference lies above zero",
            verdict([points], 0.0, len(fine.seeds)))


def close_to_finetuning(long: bool) -> Judge:
    """Judge whether the deltas come close to fine-tuning on the rows of Table 10 that were run.

    long: whether to take the rows with long answers, or those without. Tasks that some method does not learn are left
    out: there a difference would be one between failures."""
    def judge(absolute):
        wanted = {paper.task_name(t) for t in paper.table(10)["test"] if t != paper.AVERAGE}
        frame = absolute.frame[absolute.frame.task.isin(wanted)
                               & (absolute.frame.task.isin(suite.LONG_UNSEEN) == long)]
        clear = frame[~weak(frame).groupby(frame.task).transform("any")]
        means = {k: clear[clear.target == k].groupby("seed").ori.mean() for k in absolute.kinds}
        behind = {k: interval(means[k] - means["finetune"]) for k in KINDS}
        return (f"{listed(behind)} points over {clear.task.nunique()} of {frame.task.nunique()} tasks, "
                "those that every method learns",
                f"no delta's mean more than {CLOSE:.0f} points below fine-tuning's",
                verdict(list(behind.values()), -CLOSE, len(absolute.seeds)))
    return judge


def behind_finetuning(long: bool) -> str:
    """How far the deltas are behind fine-tuning in the paper's Table 10, over its rows with or without long answers."""
    rows = paper.rows(10, [name for name in paper.TASKS.values() if (name in suite.LONG_UNSEEN) == long])
    return (listed({k: ((rows[LABEL[k]] - rows[LABEL["finetune"]]).mean(),) for k in KINDS})
            + f" points over {len(rows)} tasks")


def unchanged(found: dict[str, Study], study: str) -> Archived | None:
    """The results of a study with unchanged settings, if it is among those found."""
    return found.get(study, {}).get("unchanged")


def every(results: Results, found: dict[str, Study]) -> list[Claim]:
    """The claims that need archived studies, in the paper's order. found: `judged_by`, or nothing ({})."""
    many = unchanged(found, "multi_task")
    fine = unchanged(found, "finetune")
    absolute = unchanged(found, "absolute")
    long = unchanged(found, "long_answers")
    y = found.get("dimension", {})
    simple = found.get("simplified", {})
    fourth = paper.table(4).set_index("test")
    transferred = {n: paper.table(n).set_index("test")[paper.AVERAGE] for n in (2, 4)}
    fifth = paper.table(5).set_index("source")
    others = [m for m in fifth if m != "Fine-tune"]
    among = [fifth.at[a, b] for a in others for b in others if a != b]
    to_it, from_it = [fifth.at[a, "Fine-tune"] for a in others], [fifth.at["Fine-tune", b] for b in others]
    few = y.get("many tasks, y=20")
    wide = y.get("many tasks, y=100")
    eli5 = paper.rows(1, suite.LONG_UNSEEN)
    whole = many and joined(many, found.get("long_answers", {}).get("many tasks"))
    in_both = set(results.moved.task) & set(many.moved.task) if many else set()
    main = {"single": results, "multi": many}
    beside = {name: within(simple.get(name), other) for name, other in main.items()}  # where both pipelines were run
    return [
        claim("Answers of a sentence are recovered, too (the ELI5 rows of Table 1).",
              ", ".join(f"{paper.task_name(t)} {v:.1f}"
                        for t, v in zip(eli5["test"], eli5[paper.AVERAGE], strict=True)), long, each_row,
              False),
        claim("With one training task the dimension, 4, 8 or 16, hardly matters (section 5.1).",
              "said, without numbers",
              y.get("unchanged") if any(name.startswith("y=") for name in y) else None, dimensions(y)),
        claim("With many training tasks, more dimensions recover more (section 5.1).", "said, without numbers",
              few and wide, more_dimensions(few)),
        *(claim(f"Many training tasks make a better subspace than one: transfer on {name} (sections 5.2.1 and 5.2.2).",
                f"{transferred[2][name]:.1f} single-task, {transferred[4][name]:.1f} multi-task",
                many if paper.TASKS[name] in in_both else None, more_tasks(results, paper.TASKS[name]),
                False)
          for name in ("WSC", "QuaRTz")),
        claim("In the subspace of many tasks the deltas recover more than 80 % on average (section 5.2.2).",
              claims.published(3, whole, claims.average), whole, claims.on_average("own")),
        claim("With many tasks, too, the adapter recovers most (section 5.2.2).",
              claims.published(3, many, claims.leads), many, claims.ahead),
        claim("With many tasks, tuning adds to what the training tasks' solutions give as they are (not in the paper).",
              "no such control", many, surplus("own", claims.LEFT)),
        claim("With many tasks, tuning adds to the best of these solutions with its length fitted (not in the paper).",
              "no such control", many, surplus("own", ["scaled_solution"])),
        claim("With many tasks, a trained subspace recovers more than a random one of as many dimensions "
              "(not in the paper).",
              "no such control", many, surplus("own", ["random"])),
        claim("With many tasks, prefix-tuning recovers less than the other two (section 5.2.2).",
              claims.published(3, many,
                               lambda rows: f"{((rows['Adapter'] + rows['LoRA']) / 2 - rows['Prefix']).mean():+.1f} "
                                            "points, the other two minus the prefix"),
              many, prefix_behind),
        claim("With many tasks, transfer recovers around 80 % or more on nearly all unseen tasks (section 5.2.2).",
              claims.published(4, whole, lambda rows: f"{(rows[paper.AVERAGE] >= AROUND).sum()} of {len(rows)} tasks "
                                                      f"at {AROUND:.0f} or more"),
              whole, claims.widely(AROUND, 80.0)),
        claim("With many tasks, transfer recovers less than 80 % on ETHOS-Gender (section 5.2.2).",
              f"{transferred[4]['ETHOS-Gender']:.1f}",
              many if many and "ethos-gender" in set(many.moved.task) else None, stays_below("ethos-gender"), False),
        claim("With many tasks, too, what the adapter finds is transferred slightly less well (section 5.2.2).",
              claims.published(4, many, claims.behind_as_source), many, claims.poorer_source),
        claim("Transfer is not symmetric (section 5.2.2).",
              f"Prefix to Adapter {fourth.at[paper.AVERAGE, 'P->A']:.1f}, "
              f"Adapter to Prefix {fourth.at[paper.AVERAGE, 'A->P']:.1f}", many, claims.asymmetric),
        *claims.transfers(many, "With many tasks,"),
        claim("While the subspace is approximated, the prefix's loss converges much slower than the others' "
              "(section 5.2.2).",
              "said, without a curve", many, slowest, False),
        claim("Full fine-tuning joins the same subspace (section 5.3).",
              f"Table 5: {fifth.to_numpy().min():.1f} to {fifth.to_numpy().max():.1f} in all 16 directions",
              fine, joining),
        claim("Transfer from or to fine-tuning is slightly inferior "
              "(section 5.3, which does not say in which direction).",
              f"{mean(among) - mean(to_it):+.1f} points to it and {mean(among) - mean(from_it):+.1f} from it, "
              "among the deltas minus with fine-tuning", fine, inferior),
        *(claim(f"With fine-tuning among the methods, {what} adds to the training task's shared vector {how}, "
                "for every method (not in the paper).",
                "no such control", fine, surplus(rows, [over]))
          for what, rows in (("tuning", "own"), ("transfer", "moved"))
          for over, how in (("shared_vector", "as it is"), ("scaled_vector", "with its length fitted"))),
        *(claim(f"With the simplified pipeline and {tasks}, transfer adds to the training tasks' shared vectors "
                "as they are (not in the paper).",
                "no such control", simple.get(name), surplus("moved", ["shared_vector"]))
          for name, tasks in (("single", "one training task"), ("multi", "many training tasks"))),
        *(claim(f"With the simplified pipeline and {tasks}, a trained subspace recovers more than a random one "
                "(not in the paper).", "no such control", simple.get(name), surplus("own", ["random"]))
          for name, tasks in (("single", "one training task"), ("multi", "many training tasks"))),
        *(claim(f"The simplification takes nothing away: its pipeline {does} as the main one, with {tasks} "
                "(our reading of appendix A.3, which gives no threshold).",
                simplified(a, b, beside[name]), beside[name], no_poorer(main[name], what))
          for what, does, name, tasks, a, b in (
              ("own", "recovers as much", "single", "one training task", 1, 6),
              ("own", "recovers as much", "multi", "many", 3, 7),
              ("moved", "transfers as well", "single", "one training task", 2, 8),
              ("moved", "transfers as well", "multi", "many", 4, 9))),
        claim("In their own space the deltas come close to full fine-tuning (sections 1 and 5.3; scores in Table 10).",
              behind_finetuning(False), absolute, close_to_finetuning(False)),
        claim("Where answers are sentences, too, the deltas come close to fine-tuning (the ELI5 rows of Table 10).",
              behind_finetuning(True), absolute, close_to_finetuning(True))]


def with_all_others(results: Results, planes: dict[str, Plane], found: dict[str, Study]) -> list[Claim]:
    """Every claim of the paper and every question of ours: of one training task, of planes, and of archived studies."""
    return [*claims.every(results, unchanged(found, "long_answers")),
            *claims_planes.every(planes, unchanged(found, "more_planes")), *every(results, found)]
