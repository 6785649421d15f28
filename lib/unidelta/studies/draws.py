"""Studies of several draws of the backbone: what they share, and settings tested on their spare development rows."""

from collections.abc import Sequence

from unidelta.backbone import SHIPPED
from unidelta.params import ParameterError
from unidelta.report.results import Results, collect
from unidelta.studies.parts import (
    FEW_STEPS,
    FORMER,
    MANY,
    MORE_STEPS,
    OBJECTIVES,
    SEARCH,
    UNCHANGED,
    WIDER,
    Open,
    chosen,
    multi,
    parted,
    sharing,
    single_unseen,
)

DRAWS = ("embedded", "rebuilt", "shorter", "stretches")  # the four draws: shipped backbones that know every wording
# the multi-task setting at the time of the study of its steps, `many_settings`
GIVEN_UP = {"original_steps": 500, "original_prefix_steps": 1200, "original_learnt": 0.0, "ratio": 0.02}


def backbones(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """every shipped backbone (single-task setting); those that know every wording also in the multi-task setting"""
    runs = {UNCHANGED: open_run()} | {
        f"backbone={name}": open_run(backbone=name) for name in SHIPPED if name != "embedded"}
    many = {MANY: open_run(setting="multi")} | {
        f"{MANY}, backbone={n}": open_run(setting="multi", backbone=n) for n in DRAWS[1:]}
    singles = single_unseen(runs[UNCHANGED])
    train, unseen = multi(runs[UNCHANGED])
    return parted({name: (singles, collect, run) for name, run in runs.items()}
                  | {name: (unseen, collect, run, train) for name, run in many.items()}, only, seeds)


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
    return on_every_draw(open_run, {UNCHANGED: FEW_STEPS, "more of stage 1": MORE_STEPS},
                         chosen(sharing(open_run()), only), seeds[:2])


def stage1_again(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `stage1_settings`, with new seeds (each two higher), and its steps validated once, at their end"""
    changes = {UNCHANGED: FEW_STEPS, "one look": FEW_STEPS | {"approximate_every": 50}, "more of stage 1": MORE_STEPS}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), [s + 2 for s in seeds])


def wider_mixtures(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `stage1_again`, with its steps of stage 1 and its seeds (each two higher): wider mixtures in stage 1"""
    changes = {UNCHANGED: FEW_STEPS, "more of stage 1": MORE_STEPS, "wider mixtures": WIDER}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), [s + 2 for s in seeds])


def wider_search(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `wider_mixtures`, with its seeds: a wider search in stage 2, with wider mixtures in stage 1 and without"""
    changes = {UNCHANGED: FEW_STEPS, "wider search": FEW_STEPS | SEARCH, "wider mixtures": WIDER,
               "wider mixtures and search": WIDER | SEARCH}
    return on_every_draw(open_run, changes, chosen(sharing(open_run()), only), [s + 2 for s in seeds])


def many_settings(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `settings`, multi-task setting: three times the rows a step of stage 1 and the steps of stage 2, or not"""
    changes = {FORMER: {"approximate_draws": 16, "optimize_steps": 60, "optimize_every": 6},
               "more of both stages": {"approximate_draws": 48, "optimize_steps": 180, "optimize_every": 18}}
    train, unseen = multi(open_run())
    return on_every_draw(open_run, {name: {"setting": "multi"} | GIVEN_UP | change for name, change in changes.items()},
                         chosen(unseen, only), seeds[:2], train)


def many_weight(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `settings`, multi-task setting: five times the weight of the reconstruction, or not"""
    train, unseen = multi(open_run())
    changes = {FORMER: {"setting": "multi", "ratio": 0.02}, "more reconstruction": {"setting": "multi", "ratio": 0.1}}
    return on_every_draw(open_run, changes, chosen(unseen, only), seeds[:2], train)


def spread_draws(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `spread`, on the other three draws, label words shared: no noise, and wider mixtures and search"""
    return on_other_draws(open_run, {UNCHANGED: {}, "wider mixtures and search": WIDER | SEARCH}, seeds, only)


def objective_draws(open_run: Open, seeds: Sequence[int], only: Sequence[str]) -> dict[str, Results]:
    """as `objective`, on the other three draws: the paper's term, and the released one with its weight"""
    return on_other_draws(open_run, OBJECTIVES, seeds, only)


def on_other_draws(open_run: Open, changes: dict[str, dict], seeds: Sequence[int],
                   only: Sequence[str]) -> dict[str, Results]:
    """Collect some settings on test rows of every draw but the default one, where label words are shared."""
    tasks = chosen(sharing(open_run()), only)
    runs = {f"{name}, backbone={draw}": open_run(backbone=draw, **change)
            for name, change in changes.items() for draw in DRAWS[1:]}
    return {name: collect(run, tasks, seeds, tuned=["scaled_solution"]) for name, run in runs.items()}


def on_every_draw(open_run: Open, changes: dict[str, dict], tasks: Sequence[str], seeds: Sequence[int],
                  train: Sequence[str] | None = None) -> dict[str, Results]:
    """Collect some settings on every draw that knows every wording, on spare development rows.

    All runs are opened before any is computed. changes: name of a setting -> its changes to the profile; train: the
    training tasks, where they are not the category's; only with them may a change name the setting. Raises
    ParameterError for a change of what is fixed here.
    """
    fixed = {"backbone", "report_on", "train"} | ({"setting"} if train is None else set())
    for name, change in changes.items():
        for key in change:
            if key in fixed:
                raise ParameterError(f"{name!r}: {key} is fixed here and cannot be changed; "
                                     f"neither can {' or '.join(sorted(fixed - {key}))}")
    runs = {f"{name}, backbone={draw}": open_run(backbone=draw, report_on="spare", **change)
            for name, change in changes.items() for draw in DRAWS}
    return {name: collect(run, tasks, seeds, train, tuned=()) for name, run in runs.items()}
