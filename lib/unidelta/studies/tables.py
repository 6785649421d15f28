"""Studies of the paper's tables, figure and claims, on test rows, with the settings as they are."""

from collections.abc import Sequence

from unidelta import suite
from unidelta import tasks as registry
from unidelta.finetune import METHODS
from unidelta.projections import KINDS
from unidelta.report import directions, rescaling
from unidelta.report import planes as figure2
from unidelta.report.results import Results, collect, collect_original, collect_shared, collect_trained
from unidelta.stages.workbench import Run
from unidelta.studies.parts import (
    FITTED,
    LONG,
    MANY,
    SEARCH,
    TRAINED,
    UNCHANGED,
    WIDER,
    Open,
    chosen,
    doubled,
    long_unseen,
    multi,
    parted,
    sharing,
    single,
    single_unseen,
)


def multi_task(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Tables 3 and 4: one subspace of many training tasks, what its transfers lack, what it holds of those tasks"""
    run = open_run(setting="multi")
    train, unseen = multi(run)
    tasks = chosen(unseen, only)
    return {UNCHANGED: collect(run, tasks, seeds, train), FITTED: rescaling.collect(run, tasks, seeds, train),
            TRAINED: collect_trained(run, train, seeds)}


def planes(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """figure 2 in the multi-task setting: the planes of two unseen tasks (first seed, few test rows)"""
    run = open_run(setting="multi")
    train, _ = multi(run)
    found = figure2.drawn(run, [(train, task) for task in chosen(["yelp_polarity", "ai2_arc"], only)], seeds[0],
                          figure2.ROWS)
    return {UNCHANGED: Results(run, list(seeds[:1]), figure2.to_frame(found),
                              sorted({i for plane in found.values() for i in plane.ids}))}


def more_planes(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as figure 2, with one training task: how much of the planes is good, shared label words, every seed"""
    return {UNCHANGED: good_parts(open_run(), seeds, only)}


def spread_planes(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `more_planes`, with noise in both stages"""
    return {"wider mixtures and search": good_parts(open_run(**WIDER | SEARCH), seeds, only)}


def good_parts(run: Run, seeds: Sequence[int], only: Sequence[str]) -> Results:
    """The shares of the planes that are good, for every unseen task that shares label words, and every seed."""
    served = [([suite.train_for(task)], task) for task in chosen(sharing(run), only)]
    found = {seed: figure2.drawn(run, served, seed, figure2.ROWS) for seed in seeds}
    ids = {i for planes in found.values() for plane in planes.values() for i in plane.ids}
    return Results(run, list(seeds), figure2.shares(found), sorted(ids))


def dimension(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """other values of y in both settings"""
    train, unseen = multi(open_run())
    settings = {UNCHANGED: {}, "y=8": {"y": 8}, "y=16": {"y": 16}} | {
        f"{MANY}, y={y}": {"setting": "multi", "y": y} for y in (100, 50, 20)}
    runs = {name: open_run(**changes) for name, changes in settings.items()}
    singles = single_unseen(runs[UNCHANGED])
    return parted({name: (unseen, collect, run, train) if name.startswith(MANY) else (singles, collect, run)
                   for name, run in runs.items()}, only, seeds)


def trained_directions(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """how many directions stage 1 trains, in both settings and pipelines (--tasks: single-task training tasks)"""
    few, many = open_run(), open_run(setting="multi")
    singles = [[t] for t in chosen(list(single(few)), only)]
    train, _ = multi(few)
    return {"one training task": directions.collect(few, singles, seeds),
            "one training task, y=16": directions.collect(open_run(y=16), singles, seeds, False),
            "one training task, wider mixtures": directions.collect(open_run(**WIDER), singles, seeds, False),
            "many training tasks": directions.collect(many, [train], seeds)}


def simplified(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Tables 6 to 9: the pipeline of appendix A.3 in both settings; rows with long answers apart"""
    run, many = open_run(), open_run(setting="multi")
    train, unseen = multi(many)
    singles = single_unseen(run)
    long = [t for t in long_unseen(run) if t not in singles]  # with other sources these are among the rest
    parts = {"single": (singles, run, None), "multi": (unseen, many, train), f"single, {LONG}": (long, run, None),
             f"multi, {LONG}": ([t for t in long if registry.get(t).multi == "unseen"], many, train)}
    return parted({name: (tasks, collect_shared, of, trained, KINDS) for name, (tasks, of, trained) in parts.items()},
                  only, seeds)


def finetune(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Table 5: fine-tuning among the methods, and what changes the result"""
    tasks, train = chosen(["rotten_tomatoes"], only), ["glue-sst2"]
    variants = {UNCHANGED: {}, "y=16": {"y": 16},
                "three times the steps of stage 2": {"optimize_steps": 180, "fastfood_optimize_every": 18}}
    found = {name: collect_shared(open_run(**changes), tasks, seeds, train, METHODS)
             for name, changes in variants.items()}
    return found | {"two training tasks": collect_shared(open_run(), tasks, seeds, [*train, "imdb"], METHODS)}


def absolute(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """Tables 10 and 11: every method in its own space, full fine-tuning included"""
    run = open_run()
    tasks = list(dict.fromkeys([*single_unseen(run), *multi(run)[1], *long_unseen(run)]))
    return {UNCHANGED: collect_original(run, chosen(tasks, only), seeds)}


def more_seeds(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """twice the seeds (those given and as many after them): one training task, and other studies claims rest on"""
    few, many = open_run(), open_run(setting="multi")
    singles, (train, unseen) = single_unseen(few), multi(few)
    long_unseen = [t for t in suite.LONG_UNSEEN if registry.get(t).multi == "unseen"]
    return parted({UNCHANGED: (singles, collect, few),
                   f"multi_task: {UNCHANGED}": (unseen, collect, many, train),
                   f"finetune: {UNCHANGED}": (["rotten_tomatoes"], collect_shared, few, ["glue-sst2"], METHODS),
                   f"long_answers: {UNCHANGED}": (suite.LONG_UNSEEN, collect, few),
                   f"long_answers: {MANY}": (long_unseen, collect, many, train),
                   "simplified: single": (singles, collect_shared, few, None, KINDS),
                   "simplified: multi": (unseen, collect_shared, many, train, KINDS),
                   "dimension: y=8": (singles, collect, open_run(y=8)),
                   "dimension: y=16": (singles, collect, open_run(y=16))}, only, doubled(seeds))


def long_answers(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the rows of Tables 1 to 4 left out elsewhere: answers of a sentence, both settings; more steps of stage 1"""
    tasks, many = suite.LONG_UNSEEN, open_run(setting="multi")
    shown, train = [t for t in tasks if registry.get(t).multi == "unseen"], multi(many)[0]
    return parted({UNCHANGED: (tasks, collect, open_run()),
                   "approximate_steps=300": (tasks, collect, open_run(approximate_steps=300)),
                   MANY: (shown, collect, many, train)}, only, seeds)


def real_rows(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """real rows, which the embedded backbone is not made for: --profile mini --mirror FOLDER"""
    return {task: collect(open_run(), [task], seeds) for task in chosen(["rotten_tomatoes", "qasc"], only)}
