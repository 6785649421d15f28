"""Compute one archived study into data/results: `python -m unidelta.studies multi_task`.

A study takes longer than the build of the book may take. The store keeps every stage, so a killed study goes on where
it was, and studies share what they have in common. Notebooks show what is archived.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from unidelta import params, report, suite
from unidelta import run as command
from unidelta import tasks as registry
from unidelta.backbone import SHIPPED
from unidelta.finetune import METHODS
from unidelta.params import ParameterError
from unidelta.projections import KINDS
from unidelta.report import archive, directions, rescaling, vectors
from unidelta.report import planes as figure2
from unidelta.report.results import Results, collect, collect_original, collect_shared, collect_trained
from unidelta.stages.workbench import Run

AS_IT_IS, FORMER, MANY, FITTED, TRAINED, LONG, VECTORS = (
    "as it is", "former settings", "many tasks", "length fitted", "its training tasks", "long answers", "its vectors")
# Stage 1 of the single-task setting is spelt out, so that the studies of settings stay the same if the profile changes.
FEW_STEPS = {"approximate_draws": 1, "approximate_steps": 50, "approximate_every": 25}
MORE_STEPS = {"approximate_draws": 3, "approximate_steps": 100, "approximate_every": 50}
WIDER = MORE_STEPS | {"approximate_spread": 0.5}
SEARCH = {"optimize_spread": 0.5}
# the multi-task setting at the time of the study of its steps, `many_settings`
GIVEN_UP = {"original_steps": 500, "original_prefix_steps": 1200, "original_learnt": 0.0, "ratio": 0.02}
DRAWS = ("embedded", "rebuilt", "shorter", "stretches")  # the four draws: shipped backbones that know every wording
Open = Callable[..., Run]


def chosen(tasks: Sequence[str], only: Sequence[str]) -> list[str]:
    """Return the tasks of a study that `only` names, or all of them if it names none.

    Raises ParameterError for a task that is not in the study.
    """
    if wrong := [t for t in only if t not in tasks]:
        raise ParameterError(f"task {wrong[0]!r} is not in this study; allowed: {', '.join(tasks)}")
    return [t for t in tasks if not only or t in only]


def parted(parts: dict[str, tuple], only: Sequence[str], seeds: Sequence[int]) -> dict[str, Results]:
    """Collect the parts of a study that have any of the tasks `only` names, or all of them if it names none.

    parts: name -> (unseen tasks, the function that collects them, its run, more of its arguments).
    Raises ParameterError for a task that no part has.
    """
    wanted = chosen(list(dict.fromkeys(t for tasks, *_ in parts.values() for t in tasks)), only)
    found = {}
    for name, (tasks, compute, run, *more) in parts.items():
        mine = [t for t in tasks if t in wanted]
        if mine:
            found[name] = compute(run, mine, seeds, *more)
    return found


def single_unseen(run: Run) -> list[str]:
    return [t for served in suite.single(run.profile.source).values() for t in served]


def sharing(run: Run) -> list[str]:
    """The unseen tasks of the single-task setting that share label words with their training task."""
    return [t for t in single_unseen(run) if suite.shares_labels(t)]


def doubled(seeds: Sequence[int]) -> list[int]:
    """These seeds and as many more, which follow the highest."""
    after = max(seeds) + 1
    return [*seeds, *range(after, after + len(seeds))]


def multi_task(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Tables 3 and 4: one subspace of many training tasks, what its transfers lack, what it holds of those tasks"""
    run = open_run(setting="multi")
    train, unseen = suite.multi(run.profile.source)
    tasks = chosen(unseen, only)
    return {AS_IT_IS: collect(run, tasks, seeds, train), FITTED: rescaling.collect(run, tasks, seeds, train),
            TRAINED: collect_trained(run, train, seeds)}


def reconstruction(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the weight of the reconstruction in the multi-task setting"""
    runs = {AS_IT_IS: open_run(setting="multi")} | {
        f"ratio={r:g}": open_run(setting="multi", ratio=r) for r in (0.02, 1.0)}
    train, unseen = suite.multi(runs[AS_IT_IS].profile.source)
    return {name: collect(run, chosen(unseen, only), seeds, train) for name, run in runs.items()}


def planes(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """figure 2 in the multi-task setting: the planes of two unseen tasks (first seed, few test rows)"""
    run = open_run(setting="multi")
    train, _ = suite.multi(run.profile.source)
    found = figure2.drawn(run, [(train, task) for task in chosen(["yelp_polarity", "ai2_arc"], only)], seeds[0],
                          figure2.ROWS)
    return {AS_IT_IS: Results(run, list(seeds[:1]), figure2.to_frame(found),
                              sorted({i for plane in found.values() for i in plane.ids}))}


def more_planes(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as figure 2, with one training task: how much of the planes is good, shared label words, every seed"""
    run = open_run()
    served = [([suite.train_for(task)], task) for task in chosen(sharing(run), only)]
    found = {seed: figure2.drawn(run, served, seed, figure2.ROWS) for seed in seeds}
    ids = {i for planes in found.values() for plane in planes.values() for i in plane.ids}
    return {AS_IT_IS: Results(run, list(seeds), figure2.shares(found), sorted(ids))}


def dimension(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """other values of y in both settings"""
    train, unseen = suite.multi(open_run().profile.source)
    settings = {AS_IT_IS: {}, "y=8": {"y": 8}, "y=16": {"y": 16}} | {
        f"{MANY}, y={y}": {"setting": "multi", "y": y} for y in (100, 50, 20)}
    runs = {name: open_run(**changes) for name, changes in settings.items()}
    singles = single_unseen(runs[AS_IT_IS])
    return parted({name: (unseen, collect, run, train) if name.startswith(MANY) else (singles, collect, run)
                   for name, run in runs.items()}, only, seeds)


def trained_directions(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """how many directions stage 1 trains, in both settings and pipelines (--tasks: single-task training tasks)"""
    few, many = open_run(), open_run(setting="multi")
    singles = [[t] for t in chosen(list(suite.single(few.profile.source)), only)]
    train, _ = suite.multi(few.profile.source)
    return {"one training task": directions.collect(few, singles, seeds),
            "one training task, y=16": directions.collect(open_run(y=16), singles, seeds, False),
            "one training task, wider mixtures": directions.collect(open_run(**WIDER), singles, seeds, False),
            "many training tasks": directions.collect(many, [train], seeds)}


def simplified(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Tables 6 to 9: the pipeline of appendix A.3 in both settings; rows with long answers apart"""
    run, many = open_run(), open_run(setting="multi")
    train, unseen = suite.multi(many.profile.source)
    singles = single_unseen(run)
    long = [t for t in suite.LONG_UNSEEN if t not in singles]  # with other sources these are among the rest
    parts = {"single": (singles, run, None), "multi": (unseen, many, train), f"single, {LONG}": (long, run, None),
             f"multi, {LONG}": ([t for t in long if registry.get(t).multi == "unseen"], many, train)}
    return parted({name: (tasks, collect_shared, of, trained, KINDS) for name, (tasks, of, trained) in parts.items()},
                  only, seeds)


def finetune(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Table 5: fine-tuning among the methods, and what changes the result"""
    tasks, train = chosen(["rotten_tomatoes"], only), ["glue-sst2"]
    variants = {AS_IT_IS: {}, "y=16": {"y": 16},
                "three times the steps of stage 2": {"optimize_steps": 180, "fastfood_optimize_every": 18}}
    found = {name: collect_shared(open_run(**changes), tasks, seeds, train, METHODS)
             for name, changes in variants.items()}
    return found | {"two training tasks": collect_shared(open_run(), tasks, seeds, [*train, "imdb"], METHODS)}


def absolute(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Tables 10 and 11: every method in its own space, full fine-tuning included"""
    run = open_run()
    tasks = list(dict.fromkeys([*single_unseen(run), *suite.multi(run.profile.source)[1], *suite.LONG_UNSEEN]))
    return {AS_IT_IS: collect_original(run, chosen(tasks, only), seeds)}


def second_group(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """what changes the results of the unseen tasks without shared label words"""
    tasks, both = chosen(["superglue-rte", "glue-mrpc"], only), ["glue-mnli", "glue-qqp"]
    variants = {AS_IT_IS: {}, "y=16": {"y": 16}, "optimize_init=train": {"optimize_init": "train"},
                "optimize_steps=180": {"optimize_steps": 180}}
    found = {name: collect(open_run(**changes), tasks, seeds) for name, changes in variants.items()}
    return found | {f"train={'+'.join(both)}": collect(open_run(), tasks, seeds, both)}


def fidelity(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the paper's and the released code's variants where they differ: reconstruction, prefix, Fastfood"""
    tasks, base = chosen(["rotten_tomatoes"], only), open_run().profile
    settings = {AS_IT_IS: {},
                "variant=paper": {"variant": "paper"},
                "variant=released, ratio=10": {"variant": "released", "ratio": 10.0},
                "prefix=natural": {"prefix": base.prefix | {"reading": "natural"}},
                "prefix bias=zero": {"prefix": base.prefix | {"bias": "zero"}}}
    found = {name: collect(open_run(**changes), tasks, seeds) for name, changes in settings.items()}
    return found | {f"fastfood={how}": collect_shared(open_run(fastfood=how), tasks, seeds, None, METHODS)
                    for how in ("exact", "released")}


def objective(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the paper's reconstruction term, and the released one with its weight: one training task, twice the seeds"""
    settings = {AS_IT_IS: {}, "variant=paper": {"variant": "paper"},
                "variant=released, ratio=10": {"variant": "released", "ratio": 10.0}}
    tasks, twice = chosen(sharing(open_run()), only), doubled(seeds)
    runs = {name: open_run(**changes) for name, changes in settings.items()}
    train = list(dict.fromkeys(map(suite.train_for, tasks)))
    return {name: collect(run, tasks, twice, tuned=["scaled_solution"]) for name, run in runs.items()} | {
        f"{name}, {VECTORS}": vectors.collect(run, train, twice) for name, run in runs.items()}


def backbones(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """every shipped backbone (single-task setting); those that know every wording also in the multi-task setting"""
    runs = {AS_IT_IS: open_run()} | {
        f"backbone={name}": open_run(backbone=name) for name in SHIPPED if name != "embedded"}
    many = {MANY: open_run(setting="multi")} | {
        f"{MANY}, backbone={n}": open_run(setting="multi", backbone=n) for n in DRAWS[1:]}
    singles = single_unseen(runs[AS_IT_IS])
    train, unseen = suite.multi(runs[AS_IT_IS].profile.source)
    return parted({name: (singles, collect, run) for name, run in runs.items()}
                  | {name: (unseen, collect, run, train) for name, run in many.items()}, only, seeds)


def more_seeds(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """twice the seeds (those given and as many after them): one training task, and other studies claims rest on"""
    few, many = open_run(), open_run(setting="multi")
    singles, (train, unseen) = single_unseen(few), suite.multi(few.profile.source)
    long_unseen = [t for t in suite.LONG_UNSEEN if registry.get(t).multi == "unseen"]
    return parted({AS_IT_IS: (singles, collect, few),
                   f"multi_task: {AS_IT_IS}": (unseen, collect, many, train),
                   f"finetune: {AS_IT_IS}": (["rotten_tomatoes"], collect_shared, few, ["glue-sst2"], METHODS),
                   f"long_answers: {AS_IT_IS}": (suite.LONG_UNSEEN, collect, few),
                   f"long_answers: {MANY}": (long_unseen, collect, many, train),
                   "simplified: single": (singles, collect_shared, few, None, KINDS),
                   "simplified: multi": (unseen, collect_shared, many, train, KINDS),
                   "dimension: y=8": (singles, collect, open_run(y=8)),
                   "dimension: y=16": (singles, collect, open_run(y=16))}, only, doubled(seeds))


def settings(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """grid of stage 2 and reading of the prefix: one training task, four draws, spare rows, the first two seeds"""
    prefix = open_run().profile.prefix
    natural, released = {"prefix": prefix | {"reading": "natural"}}, {"prefix": prefix | {"reading": "released"}}
    narrow = FEW_STEPS | {"optimize_lrs": (1e-2, 5e-2), "optimize_steps": 100, "optimize_every": 10}
    wider = FEW_STEPS | {"optimize_lrs": (1e-2, 5e-2, 2e-1), "optimize_steps": 60, "optimize_every": 6}
    changes = {FORMER: narrow | natural, "wider grid, fewer steps": wider | natural,
               "prefix=released": narrow | released, "both": wider | released}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), seeds[:2])


def stage1_settings(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as in `settings`: three times the draws of (alpha, beta) a step and twice the steps of stage 1, or not"""
    return on_every_draw(open_run, {FORMER: FEW_STEPS, "more of stage 1": MORE_STEPS},
                         chosen(sharing(open_run()), only), seeds[:2])


def stage1_again(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `stage1_settings`, with new seeds (each two higher), and the former steps validated once, at their end"""
    changes = {FORMER: FEW_STEPS, "one look": FEW_STEPS | {"approximate_every": 50}, "more of stage 1": MORE_STEPS}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), [s + 2 for s in seeds])


def wider_mixtures(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `stage1_again`, with its steps of stage 1 and its seeds (each two higher): wider mixtures in stage 1"""
    changes = {FORMER: FEW_STEPS, "more of stage 1": MORE_STEPS, "wider mixtures": WIDER}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), [s + 2 for s in seeds])


def wider_search(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `wider_mixtures`, with its seeds: a wider search in stage 2, with wider mixtures in stage 1 and without"""
    changes = {FORMER: FEW_STEPS, "wider search": FEW_STEPS | SEARCH, "wider mixtures": WIDER,
               "wider mixtures and search": WIDER | SEARCH}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), [s + 2 for s in seeds])


def spread(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """one training task, test rows: wider mixtures in stage 1, its steps without them, wider search, and both"""
    changes = {AS_IT_IS: {}, "more of stage 1": MORE_STEPS, "wider mixtures": WIDER, "wider search": SEARCH,
               "wider mixtures and search": WIDER | SEARCH}
    tasks = chosen(single_unseen(open_run()), only)
    return {name: collect(open_run(**change), tasks, seeds) for name, change in changes.items()}


def spread_seeds(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """`spread` with twice the seeds, label words shared: no noise, wider mixtures, wider mixtures and search"""
    tasks = chosen(sharing(open_run()), only)
    changes = {AS_IT_IS: {}, "wider mixtures": WIDER, "wider mixtures and search": WIDER | SEARCH}
    return {name: collect(open_run(**change), tasks, doubled(seeds), tuned=["scaled_solution"])
            for name, change in changes.items()}


def spread_draws(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `spread`, on the other three draws, label words shared: no noise, and wider mixtures and search"""
    tasks, changes = chosen(sharing(open_run()), only), {AS_IT_IS: {}, "wider mixtures and search": WIDER | SEARCH}
    runs = {f"{name}, backbone={draw}": open_run(backbone=draw, **change)
            for name, change in changes.items() for draw in DRAWS[1:]}
    return {name: collect(run, tasks, seeds, tuned=["scaled_solution"]) for name, run in runs.items()}


def many_settings(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `settings`, multi-task setting: three times the rows a step of stage 1 and the steps of stage 2, or not"""
    changes = {FORMER: {"approximate_draws": 16, "optimize_steps": 60, "optimize_every": 6},
               "more of both stages": {"approximate_draws": 48, "optimize_steps": 180, "optimize_every": 18}}
    train, unseen = suite.multi(open_run().profile.source)
    return on_every_draw(open_run, {name: {"setting": "multi"} | GIVEN_UP | change for name, change in changes.items()},
                         chosen(unseen, only), seeds[:2], train)


def many_weight(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `settings`, multi-task setting: five times the weight of the reconstruction, or not"""
    train, unseen = suite.multi(open_run().profile.source)
    changes = {FORMER: {"setting": "multi", "ratio": 0.02}, "more reconstruction": {"setting": "multi", "ratio": 0.1}}
    return on_every_draw(open_run, changes, chosen(unseen, only), seeds[:2], train)


def on_every_draw(open_run: Open, changes: dict[str, dict], tasks: Sequence[str], seeds: Sequence[int],
                  train: Sequence[str] | None = None) -> dict[str, Results]:
    """Collect some settings on every draw that knows every wording, on spare development rows.

    All runs are opened before any is computed. changes: name of a setting -> its changes to the profile; train: the
    training tasks, where they are not the category's. Raises ParameterError for a change of what is fixed here.
    """
    fixed = {"backbone", "report_on", "train"}
    for name, change in changes.items():
        for key in change:
            if key in fixed:
                raise ParameterError(f"{name!r}: {key} is fixed here and cannot be changed; "
                                     f"neither can {' or '.join(sorted(fixed - {key}))}")
    runs = {f"{name}, backbone={draw}": open_run(backbone=draw, report_on="spare", **change)
            for name, change in changes.items() for draw in DRAWS}
    return {name: collect(run, tasks, seeds, train, tuned=()) for name, run in runs.items()}


def long_answers(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the rows of Tables 1 to 4 left out elsewhere: answers of a sentence, both settings; more steps of stage 1"""
    tasks, many = suite.LONG_UNSEEN, open_run(setting="multi")
    shown, train = [t for t in tasks if registry.get(t).multi == "unseen"], suite.multi(many.profile.source)[0]
    return parted({AS_IT_IS: (tasks, collect, open_run()),
                   "approximate_steps=300": (tasks, collect, open_run(approximate_steps=300)),
                   MANY: (shown, collect, many, train)}, only, seeds)


def real_rows(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """real rows, which the embedded backbone is not made for: --profile mini --mirror FOLDER"""
    return {task: collect(open_run(), [task], seeds) for task in chosen(["rotten_tomatoes", "qasc"], only)}


STUDIES = {f.__name__: f for f in (
    multi_task, reconstruction, planes, more_planes, dimension, trained_directions, simplified, finetune, absolute,
    second_group, fidelity, objective, backbones, more_seeds, settings, many_settings, many_weight, stage1_settings,
    stage1_again, wider_mixtures, wider_search, spread, spread_seeds, spread_draws, long_answers, real_rows)}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="studies:\n" + "\n".join(f"  {name:18} {f.__doc__}" for name, f in STUDIES.items()))
    parser.add_argument("name", help=f"the study: {', '.join(STUDIES)}")
    parser.add_argument("--tasks", default="", help="some of the study's unseen tasks, comma separated")
    parser.add_argument("--steps", type=int, help="cap on the steps of every stage, for a trial")
    parser.add_argument("--out", type=Path, help="a folder to archive into, instead of data/results; needed with any "
                        "other option, except those of real_rows")
    command.options(parser)
    args = parser.parse_args(argv)
    own = {n: getattr(args, n) for n in ("steps", *command.OWN)}

    def open_run(**settings):
        for name in settings:
            if own.get(name) is not None:
                raise ParameterError(f"--{name} has no effect on {args.name}, which sets it itself: leave it out")
        return Run.open(args.profile, **own | settings)
    try:
        if args.name not in STUDIES:
            raise ParameterError(f"no study {args.name!r}; allowed: {', '.join(STUDIES)}")
        with report.one_line():
            seeds, only = params.seeds(args.seeds, "--seeds"), command.listed(args.tasks)
            # a wrong setting, or a faulty source, shows at once
            run = command.opened(args, steps=args.steps)
            run.data("rotten_tomatoes", 0)
        if args.name == "real_rows" and run.profile.source == "embedded":
            raise ParameterError("real_rows needs real rows, not stand-ins; "
                                 "allowed: --profile mini --mirror FOLDER, or another source than embedded")
        usual = vars(parser.parse_args([args.name]))
        if args.name == "real_rows":
            usual |= {"profile": "mini", "mirror": args.mirror}
        other = [f"--{n}" for n, value in vars(args).items() if value != usual[n]]
        if args.out is None and other:
            raise ParameterError(f"{', '.join(other)}: data/results, which the book shows, is for studies run with the "
                                 "usual options; allowed: another folder, --out FOLDER")
        if args.out is not None:  # a folder that cannot be made shows before hours of work
            nearest = next(p for p in (args.out.absolute(), *args.out.absolute().parents) if p.exists())
            if not nearest.is_dir() or not os.access(nearest, os.W_OK) or args.out == Path():
                raise ParameterError(f"--out {args.out} is, or lies below, a file, or cannot be written; "
                                     "allowed: a folder other than the present one, or the name of a new one")
        found = STUDIES[args.name](open_run, seeds, only)
    except ParameterError as error:
        print(f"unidelta.studies: {error}", file=sys.stderr)
        sys.exit(2)
    folder, first = archive.save(found, args.name, args.out), next(iter(found.values()))
    print(f"{folder}: {'; '.join(found)}; {report.setting(first.run, first.seeds)}")


if __name__ == "__main__":
    command.from_shell(main, "unidelta.studies")
