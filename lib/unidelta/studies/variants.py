"""Studies of what changes a result, on test rows: one setting or more, against the settings as they are."""

from collections.abc import Sequence

from unidelta import suite
from unidelta.finetune import METHODS
from unidelta.report import vectors
from unidelta.report.results import Results, collect, collect_shared
from unidelta.studies.parts import (
    MORE_STEPS,
    OBJECTIVES,
    SEARCH,
    UNCHANGED,
    VECTORS,
    WIDER,
    Open,
    chosen,
    doubled,
    multi,
    sharing,
    single_unseen,
)


def reconstruction(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the weight of the reconstruction in the multi-task setting"""
    runs = {UNCHANGED: open_run(setting="multi")} | {
        f"ratio={r:g}": open_run(setting="multi", ratio=r) for r in (0.02, 1.0)}
    train, unseen = multi(runs[UNCHANGED])
    return {name: collect(run, chosen(unseen, only), seeds, train) for name, run in runs.items()}


def second_group(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """what changes the results of the unseen tasks without shared label words"""
    tasks, both = chosen(["superglue-rte", "glue-mrpc"], only), ["glue-mnli", "glue-qqp"]
    variants = {UNCHANGED: {}, "y=16": {"y": 16}, "optimize_init=train": {"optimize_init": "train"},
                "optimize_steps=180": {"optimize_steps": 180}}
    found = {name: collect(open_run(**changes), tasks, seeds) for name, changes in variants.items()}
    return found | {f"train={'+'.join(both)}": collect(open_run(), tasks, seeds, both)}


def fidelity(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the paper's and the released code's variants where they differ: reconstruction, prefix, Fastfood"""
    tasks, base = chosen(["rotten_tomatoes"], only), open_run().profile
    settings = OBJECTIVES | {"prefix=natural": {"prefix": base.prefix | {"reading": "natural"}},
                             "prefix bias=zero": {"prefix": base.prefix | {"bias": "zero"}}}
    found = {name: collect(open_run(**changes), tasks, seeds) for name, changes in settings.items()}
    return found | {f"fastfood={how}": collect_shared(open_run(fastfood=how), tasks, seeds, None, METHODS)
                    for how in ("exact", "released")}


def objective(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """the paper's reconstruction term, and the released one with its weight: one training task, twice the seeds"""
    tasks, twice = chosen(sharing(open_run()), only), doubled(seeds)
    runs = {name: open_run(**changes) for name, changes in OBJECTIVES.items()}
    train = list(dict.fromkeys(map(suite.train_for, tasks)))
    return {name: collect(run, tasks, twice, tuned=["scaled_solution"]) for name, run in runs.items()} | {
        f"{name}, {VECTORS}": vectors.collect(run, train, twice) for name, run in runs.items()}


def spread(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """one training task, test rows: wider mixtures in stage 1, its steps without them, wider search, and both"""
    changes = {UNCHANGED: {}, "more of stage 1": MORE_STEPS, "wider mixtures": WIDER, "wider search": SEARCH,
               "wider mixtures and search": WIDER | SEARCH}
    tasks = chosen(single_unseen(open_run()), only)
    return {name: collect(open_run(**change), tasks, seeds) for name, change in changes.items()}


def spread_seeds(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """`spread` with twice the seeds, label words shared: no noise, wider mixtures, wider mixtures and search"""
    tasks = chosen(sharing(open_run()), only)
    changes = {UNCHANGED: {}, "wider mixtures": WIDER, "wider mixtures and search": WIDER | SEARCH}
    return {name: collect(open_run(**change), tasks, doubled(seeds), tuned=["scaled_solution"])
            for name, change in changes.items()}
