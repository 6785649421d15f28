"""What studies share: the names of their parts, settings that several of them try, and the tasks they are run on."""

from collections.abc import Callable, Sequence

from unidelta import suite
from unidelta.params import ParameterError
from unidelta.report.results import Results
from unidelta.stages.workbench import Run

UNCHANGED, FORMER, MANY, FITTED, TRAINED, LONG, VECTORS = (
    "unchanged", "former settings", "many tasks", "length fitted", "its training tasks", "long answers", "its vectors")
# Stage 1 of the single-task setting is spelt out, so that the studies of settings stay the same if the profile changes.
FEW_STEPS = {"approximate_draws": 1, "approximate_steps": 50, "approximate_every": 25}
MORE_STEPS = {"approximate_draws": 3, "approximate_steps": 100, "approximate_every": 50}
WIDER = MORE_STEPS | {"approximate_spread": 0.5}
SEARCH = {"optimize_spread": 0.5}
OBJECTIVES = {UNCHANGED: {}, "variant=paper": {"variant": "paper"},
              "variant=released, ratio=10": {"variant": "released", "ratio": 10.0}}
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


def single(run: Run) -> dict[str, list[str]]:
    """Training task -> its unseen tasks, of the single-task setting, as far as the run's source has them."""
    return suite.single(run.profile.source, run.profile.mirror)


def multi(run: Run) -> tuple[list[str], list[str]]:
    """Training and unseen tasks of the multi-task setting, as far as the run's source has them."""
    return suite.multi(run.profile.source, run.profile.mirror)


def long_unseen(run: Run) -> list[str]:
    """The unseen tasks with long answers, as far as the run's source has them."""
    return [t for t in suite.LONG_UNSEEN if suite.has(run.profile.source, run.profile.mirror, t)]


def single_unseen(run: Run) -> list[str]:
    return [t for served in single(run).values() for t in served]


def sharing(run: Run) -> list[str]:
    """The unseen tasks of the single-task setting that share label words with their training task."""
    return [t for t in single_unseen(run) if suite.shares_labels(t)]


def doubled(seeds: Sequence[int]) -> list[int]:
    """These seeds and as many more, which follow the highest."""
    after = max(seeds) + 1
    return [*seeds, *range(after, after + len(seeds))]
