"""Compute one archived study into data/results: `python -m unidelta.studies multi_task`.

A study is what takes longer than a book may be built in. The store keeps every stage, so a killed study goes on where it was, and studies
share what they have in common. Notebooks show what is archived.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from unidelta import report, suite
from unidelta import run as command
from unidelta import tasks as registry
from unidelta.backbone import SHIPPED
from unidelta.finetune import METHODS
from unidelta.params import ParameterError
from unidelta.projections import KINDS
from unidelta.report import archive, directions, rescaling
from unidelta.report import planes as figure2
from unidelta.report.results import Results, collect, collect_original, collect_shared, collect_trained
from unidelta.stages.workbench import Run

AS_IT_IS, FORMER, MANY, FITTED, TRAINED, LONG = "as it is", "former settings", "many tasks", "length fitted", "its training tasks", "long answers"
# The single-task setting's stage 1, spelt out: the studies of settings stay what they are if the profile changes.
FEW_STEPS = {"approximate_draws": 1, "approximate_steps": 50, "approximate_every": 25}
MORE_STEPS = {"approximate_draws": 3, "approximate_steps": 100, "approximate_every": 50}
WIDER = MORE_STEPS | {"approximate_spread": 0.5}
SEARCH = {"optimize_spread": 0.5}
GIVEN_UP = {"original_steps": 500, "original_prefix_steps": 1200, "original_learnt": 0.0, "ratio": 0.02}  # the multi-task setting when its steps were asked
DRAWS = ("embedded", "rebuilt", "shorter", "stretches")  # the shipped backbones that know every wording
Open = Callable[..., Run]


def chosen(tasks: Sequence[str], only: Sequence[str]) -> list[str]:
    """The tasks of a study that `only` names, or all if it names none. Raises ParameterError for a name that the study does not have."""
    if wrong := [t for t in only if t not in tasks]:
        raise ParameterError(f"task {wrong[0]!r} is not in this study; allowed: {', '.join(tasks)}")
    return [t for t in tasks if not only or t in only]


def single_unseen(run: Run) -> list[str]:
    return [t for served in suite.single(run.profile.source).values() for t in served]


def sharing(run: Run) -> list[str]:
    """The unseen tasks of the single-task setting that share label words with their training task."""
    return [t for t in single_unseen(run) if suite.shares_labels(t)]


def doubled(seeds: Sequence[int]) -> list[int]:
    """These seeds and as many that follow the last of them."""
    after = max(seeds) + 1
    return [*seeds, *range(after, after + len(seeds))]


def multi_task(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Tables 3 and 4: one subspace of many training tasks; what its transfers lack, and what it holds of its training tasks"""
    run = open_run(setting="multi")
    train, unseen = suite.multi(run.profile.source)
    tasks = chosen(unseen, only)
    return {AS_IT_IS: collect(run, tasks, seeds, train), FITTED: rescaling.collect(run, tasks, seeds, train), TRAINED: collect_trained(run, train, seeds)}


def reconstruction(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the weight of the reconstruction in the multi-task setting"""
    runs = {AS_IT_IS: open_run(setting="multi")} | {f"ratio={r:g}": open_run(setting="multi", ratio=r) for r in (0.02, 1.0)}
    train, unseen = suite.multi(runs[AS_IT_IS].profile.source)
    return {name: collect(run, chosen(unseen, only), seeds, train) for name, run in runs.items()}


def planes(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """figure 2 in the multi-task setting: the planes of two unseen tasks (first seed, few test rows)"""
    run = open_run(setting="multi")
    train, _ = suite.multi(run.profile.source)
    found = figure2.drawn(run, [(train, task) for task in chosen(["yelp_polarity", "ai2_arc"], only)], seeds[0], figure2.ROWS)
    return {AS_IT_IS: Results(run, list(seeds[:1]), figure2.to_frame(found), sorted({i for plane in found.values() for i in plane.ids}))}


def dimension(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """other y in both settings"""
    train, unseen = suite.multi(open_run().profile.source)
    settings = {AS_IT_IS: {}, "y=8": {"y": 8}, "y=16": {"y": 16}} | {f"{MANY}, y={y}": {"setting": "multi", "y": y} for y in (100, 50, 20)}
    runs = {name: open_run(**changes) for name, changes in settings.items()}
    singles = single_unseen(runs[AS_IT_IS])
    wanted = chosen(list(dict.fromkeys([*singles, *unseen])), only)
    served = {name: ([t for t in (unseen if name.startswith(MANY) else singles) if t in wanted], train if name.startswith(MANY) else None) for name in runs}
    return {name: collect(runs[name], mine, seeds, trained) for name, (mine, trained) in served.items() if mine}


def trained_directions(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """how many directions of a subspace stage 1 trains, in both settings and pipelines (--tasks: training tasks of the single-task setting)"""
    few, many = open_run(), open_run(setting="multi")
    singles, (train, _) = [[t] for t in chosen(list(suite.single(few.profile.source)), only)], suite.multi(few.profile.source)
    return {"one training task": directions.collect(few, singles, seeds), "one training task, y=16": directions.collect(open_run(y=16), singles, seeds, False),
            "one training task, wider mixtures": directions.collect(open_run(**WIDER), singles, seeds, False),
            "many training tasks": directions.collect(many, [train], seeds)}


def simplified(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Tables 6 to 9, the pipeline of appendix A.3 in both settings; rows with long answers apart"""
    run, many = open_run(), open_run(setting="multi")
    train, unseen = suite.multi(many.profile.source)
    singles = single_unseen(run)
    long = [t for t in suite.LONG_UNSEEN if t not in singles]  # of other sources than the embedded they are among the rest
    parts = {"single": (run, singles, None), "multi": (many, unseen, train),
             f"single, {LONG}": (run, long, None), f"multi, {LONG}": (many, [t for t in long if registry.get(t).multi == "unseen"], train)}
    wanted = chosen(list(dict.fromkeys(t for _, tasks, _ in parts.values() for t in tasks)), only)
    parts = {name: (of, [t for t in tasks if t in wanted], trained) for name, (of, tasks, trained) in parts.items()}
    return {name: collect_shared(of, mine, seeds, trained, KINDS) for name, (of, mine, trained) in parts.items() if mine}


def finetune(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Table 5, fine-tuning among the methods; and what moves it"""
    tasks, train = chosen(["rotten_tomatoes"], only), ["glue-sst2"]
    variants = {AS_IT_IS: {}, "y=16": {"y": 16}, "three times the steps of stage 2": {"optimize_steps": 180, "fastfood_optimize_every": 18}}
    found = {name: collect_shared(open_run(**changes), tasks, seeds, train, METHODS) for name, changes in variants.items()}
    return found | {"two training tasks": collect_shared(open_run(), tasks, seeds, [*train, "imdb"], METHODS)}


def absolute(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Tables 10 and 11, every method in its own space, full fine-tuning included"""
    run = open_run()
    tasks = list(dict.fromkeys([*single_unseen(run), *suite.multi(run.profile.source)[1], *suite.LONG_UNSEEN]))
    return {AS_IT_IS: collect_original(run, chosen(tasks, only), seeds)}


def second_group(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """what moves the unseen tasks without shared label words"""
    tasks, both = chosen(["superglue-rte", "glue-mrpc"], only), ["glue-mnli", "glue-qqp"]
    variants = {AS_IT_IS: {}, "y=16": {"y": 16}, "optimize_init=train": {"optimize_init": "train"}, "optimize_steps=180": {"optimize_steps": 180}}
    found = {name: collect(open_run(**changes), tasks, seeds) for name, changes in variants.items()}
    return found | {f"train={'+'.join(both)}": collect(open_run(), tasks, seeds, both)}


def fidelity(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the paper's and the released code's variants where they differ: reconstruction, prefix, Fastfood"""
    tasks, base = chosen(["rotten_tomatoes"], only), open_run().profile
    settings = {AS_IT_IS: {}, "variant=paper": {"variant": "paper"}, "variant=released, ratio=10": {"variant": "released", "ratio": 10.0},
                "prefix=natural": {"prefix": base.prefix | {"reading": "natural"}}, "prefix bias=zero": {"prefix": base.prefix | {"bias": "zero"}}}
    found = {name: collect(open_run(**changes), tasks, seeds) for name, changes in settings.items()}
    return found | {f"fastfood={how}": collect_shared(open_run(fastfood=how), tasks, seeds, None, METHODS) for how in ("exact", "released")}


def backbones(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """every shipped backbone in the single-task setting, and those that know every wording in the multi-task setting"""
    runs = {AS_IT_IS: open_run()} | {f"backbone={name}": open_run(backbone=name) for name in SHIPPED if name != "embedded"}
    many = {MANY: open_run(setting="multi")} | {f"{MANY}, backbone={n}": open_run(setting="multi", backbone=n) for n in DRAWS[1:]}
    singles, (train, unseen) = single_unseen(runs[AS_IT_IS]), suite.multi(runs[AS_IT_IS].profile.source)
    wanted = chosen(list(dict.fromkeys([*singles, *unseen])), only)
    found = {name: collect(run, [t for t in singles if t in wanted], seeds) for name, run in runs.items()}
    return found | {name: collect(run, mine, seeds, train) for name, run in many.items() if (mine := [t for t in unseen if t in wanted])}


def more_seeds(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """twice the seeds, those given and as many that follow them, with one training task and in other studies that claims rest on"""
    few, many, twice = open_run(), open_run(setting="multi"), doubled(seeds)
    singles, (train, unseen) = single_unseen(few), suite.multi(few.profile.source)
    parts = {AS_IT_IS: (singles, lambda tasks: collect(few, tasks, twice)),
             f"multi_task: {AS_IT_IS}": (unseen, lambda tasks: collect(many, tasks, twice, train)),
             f"finetune: {AS_IT_IS}": (["rotten_tomatoes"], lambda tasks: collect_shared(few, tasks, twice, ["glue-sst2"], METHODS)),
             f"long_answers: {AS_IT_IS}": (suite.LONG_UNSEEN, lambda tasks: collect(few, tasks, twice)),
             f"long_answers: {MANY}": ([t for t in suite.LONG_UNSEEN if registry.get(t).multi == "unseen"], lambda tasks: collect(many, tasks, twice, train)),
             "simplified: single": (singles, lambda tasks: collect_shared(few, tasks, twice, None, KINDS)),
             "simplified: multi": (unseen, lambda tasks: collect_shared(many, tasks, twice, train, KINDS)),
             "dimension: y=8": (singles, lambda tasks: collect(open_run(y=8), tasks, twice)),
             "dimension: y=16": (singles, lambda tasks: collect(open_run(y=16), tasks, twice))}
    wanted = chosen(list(dict.fromkeys(t for tasks, _ in parts.values() for t in tasks)), only)
    return {name: of(mine) for name, (tasks, of) in parts.items() if (mine := [t for t in tasks if t in wanted])}


def settings(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the settings of the single-task setting over every draw that knows the wordings, on spare development rows (first two seeds)"""
    natural, released = ({"prefix": open_run().profile.prefix | {"reading": reading}} for reading in ("natural", "released"))
    narrow = FEW_STEPS | {"optimize_lrs": (1e-2, 5e-2), "optimize_steps": 100, "optimize_every": 10}
    wider = FEW_STEPS | {"optimize_lrs": (1e-2, 5e-2, 2e-1), "optimize_steps": 60, "optimize_every": 6}
    changes = {FORMER: narrow | natural, "wider grid, fewer steps": wider | natural, "prefix=released": narrow | released, "both": wider | released}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), seeds[:2])


def stage1_settings(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the same: three times the draws of (alpha, beta) a step and twice the steps of stage 1, or not"""
    return on_every_draw(open_run, {FORMER: FEW_STEPS, "more of stage 1": MORE_STEPS}, chosen(sharing(open_run()), only), seeds[:2])


def stage1_again(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the same with seeds that were not asked before (each two higher), and with the former steps looked at once, at their end"""
    changes = {FORMER: FEW_STEPS, "one look": FEW_STEPS | {"approximate_every": 50}, "more of stage 1": MORE_STEPS}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), [s + 2 for s in seeds])


def wider_mixtures(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the same with one training task (seeds each two higher): mixtures spread wider in stage 1, with its steps as in `stage1_again`"""
    changes = {FORMER: FEW_STEPS, "more of stage 1": MORE_STEPS, "wider mixtures": WIDER}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), [s + 2 for s in seeds])


def wider_search(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the same seeds: a search spread wider in stage 2, with mixtures spread wider in stage 1 and without"""
    changes = {FORMER: FEW_STEPS, "wider search": FEW_STEPS | SEARCH, "wider mixtures": WIDER, "wider mixtures and search": WIDER | SEARCH}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), [s + 2 for s in seeds])


def spread(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """with one training task, on test rows: mixtures spread wider in stage 1, the same steps without, a search spread wider in stage 2, and both"""
    changes = {AS_IT_IS: {}, "more of stage 1": MORE_STEPS, "wider mixtures": WIDER, "wider search": SEARCH, "wider mixtures and search": WIDER | SEARCH}
    return {name: collect(open_run(**change), chosen(single_unseen(open_run()), only), seeds) for name, change in changes.items()}


def spread_seeds(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the same with twice the seeds, where label words are shared: no noise, mixtures spread wider, and a search spread wider, too"""
    tasks, changes = chosen(sharing(open_run()), only), {AS_IT_IS: {}, "wider mixtures": WIDER, "wider mixtures and search": WIDER | SEARCH}
    return {name: collect(open_run(**change), tasks, doubled(seeds), tuned=["scaled_solution"]) for name, change in changes.items()}


def spread_draws(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """noise in both stages or not, on test rows of the other draws that know the wordings, where label words are shared"""
    tasks, changes = chosen(sharing(open_run()), only), {AS_IT_IS: {}, "wider mixtures and search": WIDER | SEARCH}
    runs = {f"{name}, backbone={draw}": open_run(backbone=draw, **change) for name, change in changes.items() for draw in DRAWS[1:]}
    return {name: collect(run, tasks, seeds, tuned=["scaled_solution"]) for name, run in runs.items()}


def many_settings(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the same of the multi-task setting: three times the rows a step of stage 1 and three times the steps of stage 2, or not"""
    changes = {FORMER: {"approximate_draws": 16, "optimize_steps": 60, "optimize_every": 6},
               "more of both stages": {"approximate_draws": 48, "optimize_steps": 180, "optimize_every": 18}}
    train, unseen = suite.multi(open_run().profile.source)
    return on_every_draw(open_run, {name: {"setting": "multi"} | GIVEN_UP | change for name, change in changes.items()}, chosen(unseen, only), seeds[:2], train)


def many_weight(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the same of the multi-task setting: five times the weight on the reconstruction, or not"""
    train, unseen = suite.multi(open_run().profile.source)
    changes = {FORMER: {"setting": "multi", "ratio": 0.02}, "more reconstruction": {"setting": "multi", "ratio": 0.1}}
    return on_every_draw(open_run, changes, chosen(unseen, only), seeds[:2], train)


def on_every_draw(open_run: Open, changes: dict[str, dict], tasks: Sequence[str], seeds: Sequence[int],
                  train: Sequence[str] | None = None) -> dict[str, Results]:
    """Some settings on every draw that knows the wordings, on spare development rows. All are opened before any is computed. Raises ParameterError for
    a change of what is fixed here."""
    fixed = {"backbone", "report_on", "train"}
    if wrong := [(name, key) for name, change in changes.items() for key in change if key in fixed]:
        raise ParameterError(f"{wrong[0][0]!r}: {wrong[0][1]} is fixed here, and may not be changed; nor may {', '.join(sorted(fixed - {wrong[0][1]}))}")
    runs = {f"{name}, backbone={draw}": open_run(backbone=draw, report_on="spare", **change) for name, change in changes.items() for draw in DRAWS}
    return {name: collect(run, tasks, seeds, train, tuned=()) for name, run in runs.items()}


def long_answers(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the rows of Tables 1 to 4 that the other studies leave out: answers of a sentence, in both settings, and with more steps of stage 1"""
    tasks, many = chosen(suite.LONG_UNSEEN, only), open_run(setting="multi")
    found = {name: collect(open_run(**change), tasks, seeds) for name, change in ((AS_IT_IS, {}), ("approximate_steps=300", {"approximate_steps": 300}))}
    shown = [t for t in tasks if registry.get(t).multi == "unseen"]
    return found | ({MANY: collect(many, shown, seeds, suite.multi(many.profile.source)[0])} if shown else {})


def real_rows(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """real rows, which the embedded backbone is not made for: --profile mini --mirror FOLDER"""
    if open_run().profile.source == "embedded":
        raise ParameterError("real_rows is of real rows, not of stand-ins; allowed: --profile mini --mirror FOLDER, or another source than embedded")
    return {task: collect(open_run(), [task], seeds) for task in chosen(["rotten_tomatoes", "qasc"], only)}


STUDIES = {f.__name__: f for f in (multi_task, reconstruction, planes, dimension, trained_directions, simplified, finetune, absolute, second_group, fidelity,
                                     backbones, more_seeds, settings, many_settings, many_weight, stage1_settings, stage1_again, wider_mixtures, wider_search,
                                     spread, spread_seeds, spread_draws, long_answers, real_rows)}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="studies:\n" + "\n".join(f"  {name:13} {f.__doc__}" for name, f in STUDIES.items()))
    parser.add_argument("name", help=f"the study: {', '.join(STUDIES)}")
    parser.add_argument("--tasks", default="", help="some of the study's unseen tasks, comma separated")
    parser.add_argument("--steps", type=int, help="cap on the steps of every stage, for a trial")
    parser.add_argument("--out", type=Path, help="a folder to archive into, instead of data/results; needed with any other option, real_rows' own excepted")
    command.options(parser)
    args = parser.parse_args(argv)
    own = {n: getattr(args, n) for n in ("steps", *command.OWN)}
    try:
        if args.name not in STUDIES:
            raise ParameterError(f"no study {args.name!r}; allowed: {', '.join(STUDIES)}")
        with report.one_line():
            seeds, only = command.whole(args.seeds), command.listed(args.tasks)
            command.opened(args, steps=args.steps).data("rotten_tomatoes", 0)  # what is wrong with a setting or the whole source shows at once
        usual = vars(parser.parse_args([args.name])) | ({"profile": "mini", "mirror": args.mirror} if args.name == "real_rows" else {})
        if args.out is None and (other := [f"--{n}" for n, value in vars(args).items() if value != usual[n]]):
            raise ParameterError(f"{', '.join(other)}: data/results, which the book shows, is for studies with the settings of all; allowed: another "
                                 "folder, --out FOLDER")
        if args.out and not next(p for p in (args.out, *args.out.absolute().parents) if p.exists()).is_dir():  # shows before hours of work
            raise ParameterError(f"--out {args.out} is, or lies below, a file; allowed: a folder, or the name of a new one")
        found = STUDIES[args.name](lambda **settings: Run.open(args.profile, **own | settings), seeds, only)
    except ParameterError as error:
        print(f"unidelta.studies: {error}", file=sys.stderr)
        sys.exit(2)
    folder, first = archive.save(found, args.name, args.out), next(iter(found.values()))
    print(f"{folder}: {'; '.join(found)}; {report.setting(first.run, first.seeds)}")


if __name__ == "__main__":
    main()
