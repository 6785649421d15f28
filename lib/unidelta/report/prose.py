"""The sentences of the book that state results: generated from the artifacts, never typed."""

from collections.abc import Sequence
from types import SimpleNamespace

from IPython.display import Markdown

from unidelta import paper, suite, tasks
from unidelta.projections import KINDS
from unidelta.report import measures
from unidelta.report.measures import (
    APART,
    CONTROLS,
    FLAG,
    LABEL,
    MARGIN,
    TRANSFER,
    interval,
    markdown,
    number,
    over_seeds,
    relative,
    rows_of,
    weak,
)
from unidelta.report.results import Results, complete, joined
from unidelta.sources import own
from unidelta.stages import approximate, original
from unidelta.stages.workbench import Run


def note(results: Results) -> str:
    """Explain the columns of a table to its reader, and count the E_ori that are flagged or zero."""
    frame = results.own
    flagged = weak(frame).groupby([frame.task, frame.target]).all().sum()
    undefined = int((frame.ori == 0).sum())
    return (f"Mean over seeds ± half the 95 % t-interval over seeds. {FLAG}: E_ori less than {MARGIN:.0f} points above "
            "chance or above the untuned backbone "
            f"({flagged} of {frame.groupby(['task', 'target']).ngroups} pairs of task and delta). Recovered: "
            "100 (E_sub − chance) / (E_ori − chance), E_sub being the score after transfer where that is shown, "
            f"from averages over the rows shown; {FLAG} if one of their E_ori is flagged; negative below chance. "
            "Untuned: 0 where the backbone gives none of the label words."
            + (" Majority, the most frequent answer of the training rows, may lie below chance, "
               "most of all with macro-F1 and with copied answers." if (frame.majority < frame.chance).any() else "")
            + (f" {undefined} of {len(frame)} E_ori (of a task, delta and seed) are zero, and their ratios left out."
               if undefined else ""))


def long_answers(results: Results, long: Results | None, n: int = 1) -> Markdown:
    """Say what the rows with long answers, which are kept apart, would do to the average of the paper's Table n."""
    if set(suite.LONG_UNSEEN) & set(results.frame.task):
        return markdown("The rows whose answers are sentences are among those above, and in the average.")
    if long is None:
        return markdown("Rows whose answers are sentences (chapter *Long answers*) were not run with these settings.")
    if not complete(results):
        return markdown(f"{APART}: answers of a sentence, archived and not in the average (chapter *Long answers*).")
    more = long.shown(n)
    every = joined(results, long).shown(n)
    told = "; ".join(f"`{task}` {number(*over_seeds(f, relative(f)))} "
                     f"(majority answer {number(relative(f, 'majority').mean())})"
                     for task, f in more.groupby("task", sort=False))
    return markdown(f"{APART}: answers of a sentence, archived and not in the average (chapter *Long answers*). "
                    f"In percent of E_ori: {told}. With them the average over all {every.task.nunique()} rows is "
                    f"{number(*over_seeds(every, relative(every)))}.")


def published_originals(names: Sequence[str]) -> Markdown:
    """Give the range of the deltas' own scores in the paper's Table 10 on some unseen tasks."""
    theirs = paper.rows(10, names)[[LABEL[k] for k in KINDS]]
    return markdown(f"In the paper the deltas reach {theirs.min().min():.1f} to {theirs.max().max():.1f} on these rows "
                    "(Table 10). Its ratios are relative to these scores, and it gives no score of a constant answer "
                    "for comparison.")


def trained_on(results: Results) -> Markdown:
    """Name the training tasks of the subspace, by category, and say how many of the paper's training tasks they are."""
    names = results.frame.train.iloc[0].split("+")
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(tasks.category(name), []).append(f"`{name}`")
    told = "; ".join(f"{category}: {', '.join(mine)}" for category, mine in groups.items())
    theirs = [name for name in tasks.names("multi", "train") if name not in own.ADDED]
    return markdown(f"Training tasks: {len(names)} of the paper's {len(theirs)}. {told}.")


def held(results: Results) -> Markdown:
    """Say how well a subspace serves its own training tasks, and name those that it hardly serves, delta by delta.

    results: from `report.collect_trained`."""
    frame = results.own
    mean = frame.groupby(["task", "target"], sort=False)[["sub", "chance"]].mean()
    little: dict[str, list[str]] = {}
    for (task, kind), row in mean[mean["sub"] - mean["chance"] < MARGIN].iterrows():
        little.setdefault(f"`{task}` (chance {row['chance']:.0f})", []).append(f"{LABEL[kind]} {row['sub']:.0f}")
    named = "; ".join(f"{task} {', '.join(kinds)}" for task, kinds in little.items())
    return markdown(f"At the centroids the deltas reach {number(*over_seeds(frame, relative(frame)))} % of E_ori on "
                    f"average. {sum(map(len, little.values()))} of {len(mean)} pairs of training task and delta are "
                    f"less than {MARGIN:.0f} points above chance, on average over seeds"
                    + (f": {named}." if named else "."))


def explained(results: Results, n: int = 1) -> Markdown:
    """Say what was recovered, what it adds to the controls, and how much of it each control already explains."""
    lines = []
    what = "Transfer" if n in TRANSFER else "Optimising in the subspace"
    for name, mine in rows_of(results.shown(n)).items():
        mean, half = over_seeds(mine, relative(mine))
        group = f"- **{name}** ({measures.plural(mine.task.nunique(), 'task')})"
        share = {c: relative(mine, c).mean() for c in results.controls}
        if mean != mean:
            lines.append(f"{group}: no ratio, because every E_ori is zero.")
            continue
        # a share of an average near zero says nothing
        whole, of = (mean, "this average") if mean >= 1 else (100.0, "E_ori")
        parts = [f"{CONTROLS[c]}: {100 * v / whole:.0f}\u00a0%"
                 for c, v in sorted(share.items(), key=lambda item: -item[1])]
        best, added = measures.best_control(mine, [c for c in share if c in measures.STILL])
        over = {c: measures.points(*measures.best_control(mine, [c])[1])
                for c in ("random", *measures.ONE) if c in share}
        lines.append(f"{group}. {what} reaches {number(mean, half)} % of E_ori. Over the best control that tunes "
                     f"nothing ({CONTROLS[best]}) it adds {measures.points(*added)}"
                     + "".join(f"; over the {CONTROLS[c]}, {points}" for c, points in over.items())
                     + f". As a share of {of}, each control alone reaches: {'; '.join(parts)}.")
    return markdown("\n".join(lines))


def approximation(run: Run, train: Sequence[str], seeds: Sequence[int]) -> Markdown:
    """Say how well the subspace serves its own training task, and what the deltas reach in their own space."""
    spaces = approximate(run, train, seeds)
    done = original(run, train, seeds=seeds)
    n = len(seeds)
    reached = {k: 100 * sum(done[t, k, s].metrics["dev"] for t in train for s in seeds) / (n * len(train))
               for k in KINDS}
    own = ", ".join(f"{LABEL[k]} {score:.1f}" for k, score in reached.items())
    dev, step = (sum(a.metrics[m] for a in spaces.values()) / n for m in ("dev", "best_step"))
    return markdown(f"At the centroid of its three vectors, the training task's dev score is {100 * dev:.1f} % "
                    f"on average over deltas and seeds, reached after {step:.0f} steps. "
                    f"In their own space the deltas reach, on the same rows: {own}.")


def subspace(p: SimpleNamespace, run: Run) -> Markdown:
    """Say which subspace serves the task of a notebook, and what the paper used."""
    task, train = tasks.get(p.task), p.train
    if train == [p.task]:
        kind = "the task itself"
    else:
        kind = "a single training task" if len(train) == 1 else f"{len(train)} training tasks"
    many = "the multi-task setting, " if run.profile.setting == "multi" else ""
    named = ", ".join(f"`{t}`" for t in train)
    told = (f"`{task.name}` ({task.category}) is served by the subspace approximated on {named}: "
            f"{many}{kind}, y = {run.profile.y}.")
    if train == [suite.BORROWED.get(p.task)]:
        told += (" Its category has no training task in the single-task setting; "
                 "this subspace is borrowed from the nearest one.")
    usual = train == [suite.BORROWED.get(p.task, suite.trainers().get(task.category))]
    if suite.is_multi(p.task) and not many:
        told += (" In the paper this task belongs to the multi-task setting, with one subspace of 100 dimensions over "
                 "60 training tasks. The single-task subspace stands in for it here.")
        if p.setting is None and usual:
            told += " `-p setting multi` computes the other, which is used from then on."
    if p.task not in train and usual:
        shared = suite.shares_labels(p.task)
        if task.labels:
            told += f" Its label words are {'' if shared else 'not '}shared with the training task."
        else:
            told += " It has no label words" + ("; like the training task's, its answers are copied from options in "
                                                "the row." if shared else ".")
    return markdown(told)


def draws(found: dict[str, Results]) -> Markdown:
    """Say how much the result depends on the draw of the backbone, for the tasks that share label words.

    Own and transfer are given as mean, half interval and range over backbones made in the same way, one per variant of
    `found`, with what they add to a control that tunes one number, the length of the training solution."""
    lines = []
    for what, text in (("own", "in the subspace"), ("moved", "transferred")):
        groups = [rows_of(getattr(results, what), clear=False) for results in found.values()]
        frames = [group["label words shared"] for group in groups if "label words shared" in group]
        means = [over_seeds(frame, relative(frame))[0] for frame in frames]
        over = [(measures.by_seed(frame) - measures.by_seed(frame, "scaled_solution")).mean()
                for frame in frames if "scaled_solution" in frame]
        if means:
            line = f"{text} {number(*interval(means))} % ({min(means):.1f} to {max(means):.1f})"
            if over:
                line += f", {measures.signed(*interval(over))} points over the {CONTROLS['scaled_solution']}"
            lines.append(line)
    if not lines:
        return markdown("No task here shares label words with its training task.")
    of = [name.partition("backbone=")[2] for name in found]
    names = ", ".join(f"`{name}`" if name else "the default" for name in of)
    return markdown(f"Where label words are shared, over {len(found)} of these backbones "
                    f"({names}; mean ± half the 95 % t-interval, as if these were a random sample of backbones, "
                    f"and the range): {'; '.join(lines)}.")


def unlearnt(found: dict[str, Results]) -> Markdown:
    """Name the tasks, by the names in `found`, that no delta learns in its own space: each E_ori is flagged."""
    none = [f"`{name}`" for name, results in found.items() if weak(results.own).all()]
    if not none:
        return markdown("Every task here is learnt by some delta in its own space.")
    return markdown(f"No delta learns {' or '.join(none)} in its own space: each E_ori is less than {MARGIN:.0f} "
                    "points above chance or above the untuned backbone. So ratios to it say nothing.")


def levels(low: dict[str, float]) -> Markdown:
    """Describe the untuned backbone's scores in a sentence. low: task -> score in percent."""
    above = [f"`{t}` {v:.0f}" for t, v in low.items() if v >= 5]
    told = f"The untuned backbone scores below 5 % on {len(low) - len(above)} of {len(low)} tasks"
    return markdown(told + (f"; on the others: {', '.join(above)}." if above else "."))


def pretraining(record: dict) -> Markdown:
    """Say how a backbone was trained and what it reached. record: the contents of training.json."""
    recipe, last = record["recipe"], record["curve"][-1]
    probes = {k: v for k, v in last.items() if k not in ("step", "loss", "seconds")}
    low = min(probes, key=probes.get)
    return markdown(f"Pre-trained for {last['step']:,} of {recipe['steps']:,} steps of {recipe['batch']} items in "
                    f"{last['seconds'] / 60:.0f} minutes with "
                    f"{record['threads']} thread{'s' * (record['threads'] > 1)}; "
                    f"the training loss ended at {last['loss']:.3f} nats per token. Of newly drawn items it answers "
                    f"{100 * sum(probes.values()) / len(probes):.0f} % exactly on average over the skills; "
                    f"the weakest is `{low}` with {100 * probes[low]:.0f} %.")
