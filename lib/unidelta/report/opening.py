"""A notebook's parameters, checked and opened, so that a wrong value is found before anything is computed.

Each wrong value is reported in one line that names what is allowed.
"""

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

from unidelta import params, suite, tasks
from unidelta.params import ParameterError, one_line
from unidelta.profiles import CHOICES, PROFILES, SETTINGS
from unidelta.projections import KINDS, VARIANTS
from unidelta.report import archive
from unidelta.report.results import Results, collect
from unidelta.stages.approximation import approximated
from unidelta.stages.workbench import Run

# parameters that `check` knows besides those that have a rule
NAMES = ("archive", "seeds", "deltas", "train", "tasks", "variants")


def positive_whole(value) -> bool:
    """a whole number from 1"""
    return isinstance(value, int) and value > 0


def check(namespace: dict, live: Collection[str] | None = (), many: bool = False, **allowed) -> SimpleNamespace:
    """Check parameters with `params.check` and the rules that all notebooks share.

    Names become lists: `seeds`, `deltas`, `train` (training tasks), `unseen` (tasks). `unseen` is the parameter `task`,
    or else the tasks that the training tasks serve, from which a parameter `tasks` may choose; of its default, those
    that are served remain, and the others are named. What a mirror lacks is not among these, and is named. Where there
    is a `setting`, training tasks may be left open; `train` is then empty, for `open_served` to fill in. A `source`
    left open becomes the profile's.

    many: the page is of the multi-task setting, and `train` and `tasks` choose among its tasks.
    live: the parameters that still count when archived results are shown; None: all.
    Raises ParameterError, one line, if anything is unknown, mistyped or not allowed, before anything is computed.
    """
    shared = {"profile": list(PROFILES), "backbone": str, "source": tasks.SOURCES, "mirror": str,
              "steps": positive_whole, "y": positive_whole,
              "variant": VARIANTS, "task": tasks.names(), "setting": CHOICES["setting"]}
    p = params.check(namespace, {k: v for k, v in shared.items() if k in namespace} | allowed,
                     dict.fromkeys([*shared, *allowed, *NAMES]))
    if hasattr(p, "profile") and hasattr(p, "source"):
        p.source = p.source or PROFILES[p.profile].source
    if getattr(p, "source", None) == "embedded" and getattr(p, "mirror", None):
        raise ParameterError("mirror has no effect with the embedded source: "
                             "add `-p source mirror`, or choose another profile")
    if getattr(p, "archive", "none") not in ("none", "all", *archive.names()):
        raise ParameterError(f"no archived study {p.archive!r} in {archive.FOLDER}; "
                             f"allowed: {', '.join([*archive.names(), 'none'])}")
    if live is not None and getattr(p, "archive", "none") != "none":
        idle = [name for name in params.given(namespace) if name not in ("archive", *live)]
        if idle:
            raise ParameterError(f"{idle[0]} has no effect on archived results: "
                                 "add `-p archive none` to compute with it")
    with one_line():
        if hasattr(p, "seeds"):
            p.seeds = params.seeds(p.seeds)
        if hasattr(p, "deltas"):
            p.deltas = params.names(p.deltas, KINDS, "delta")
        if hasattr(p, "task"):
            p.unseen = [p.task]
            given = getattr(p, "train", p.task)
            if given:
                p.train = params.names(given, tasks.names(), "train")
            else:
                p.train = [] if hasattr(p, "setting") else [suite.train_for(p.task)]
        elif many:
            train, unseen = suite.multi(p.source, getattr(p, "mirror", None))
            left_out(p, "multi")
            p.train = params.names(p.train, train, "train")
            p.unseen = params.names(p.tasks, unseen, "tasks")
        elif hasattr(p, "train"):
            served = suite.single(p.source, getattr(p, "mirror", None))
            left_out(p, "single")
            p.train = params.names(p.train, list(served), "train")
            p.unseen = [t for name in p.train for t in served[name]]
            if str(getattr(p, "tasks", "all")).strip() != "all":
                wanted = params.names(p.tasks, list(chain.from_iterable(served.values())), "tasks")
                mine = [t for t in wanted if t in p.unseen]
                if mine and len(mine) < len(wanted) and "tasks" not in params.given(namespace):
                    others = ", ".join(t for t in wanted if t not in mine)
                    print(f"Of this page's tasks, {', '.join(p.train)} does not serve {others}: left out.")
                    wanted = mine
                p.unseen = params.names(wanted, p.unseen, "tasks")
    return p


def left_out(p: SimpleNamespace, setting: str) -> None:
    """Say which tasks of a setting the mirror lacks. Where all tasks are asked for, these are left out."""
    if p.source == "mirror":
        lacking = [t for t in tasks.names(setting) if not suite.has(p.source, p.mirror, t)]
        if lacking:
            print(f"The mirror lacks {', '.join(lacking)}: left out where all tasks are asked for.")


def open_run(p: SimpleNamespace, **overrides) -> Run:
    """Open the `Run` of checked parameters.

    Its tasks are read once, so that what the source lacks is reported before anything is computed. Progress goes to
    progress.log beside the artifacts, where that can be written. Raises ParameterError.
    """
    with one_line():
        run = Run.open(p.profile, **{k: v for k, v in vars(p).items() if k in SETTINGS} | overrides)
        for task in dict.fromkeys([*getattr(p, "train", []), *getattr(p, "unseen", [])]):
            run.data(task, p.seeds[0])
    logger, file = logging.getLogger("unidelta"), run.store.base / "progress.log"
    mine = [h for h in logger.handlers if isinstance(h, logging.FileHandler)]
    if not any(Path(h.baseFilename) == file.absolute() for h in mine):
        for handler in mine:  # of another store
            logger.removeHandler(handler)
            handler.close()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(file, encoding="utf-8")
        except OSError:  # a store may be read-only
            return run
        handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s", datefmt="%H:%M:%S"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    return run


def open_served(p: SimpleNamespace) -> Run:
    """`open_run` for the one unseen task `p.task`, in the setting whose subspace serves it; fills in an open `p.train`.

    `p.setting` says which setting. If it is open, and `p.train` too, a task that only the multi-task setting has is
    served by the subspace of that setting once the store has it for every seed. Until then, like every other task, it
    is served by the subspace of its category's training task, so that nothing long is computed unasked.
    Raises ParameterError.
    """
    with one_line():
        many, _ = suite.multi(p.source, p.mirror)
    if p.setting == "multi" or (p.setting is None and not p.train and suite.is_multi(p.task)
                                and approximated(open_run(p, setting="multi"), many, p.seeds)):
        p.train = p.train or many
        return open_run(p, setting="multi")
    with one_line():
        p.train = p.train or [suite.train_for(p.task)]
    return open_run(p, setting="single")


def variants(text: str) -> list[tuple[str, dict]]:
    """Read settings to compare: "y=16; y=16, ratio=0.1" -> [("y=16", {"y": 16}), ...].

    Raises ParameterError for what does not read so, and for a name that is no setting of a profile.
    """
    found = []
    for name in filter(None, (part.strip() for part in text.split(";"))):
        pairs = [setting.partition("=") for setting in name.split(",")]
        if any(not mark for _, mark, _ in pairs):
            raise ParameterError(f"variant {name!r} must read setting=value, setting=value")
        read = {key.strip(): _value(value.strip()) for key, _, value in pairs}
        if unknown := read.keys() - SETTINGS - {"train"}:
            raise ParameterError(f"variant {name!r}: unknown setting {min(unknown)!r}; "
                                 f"allowed: {', '.join(sorted(SETTINGS | {'train'}))}")
        found.append((name, read))
    return found


def _value(text: str) -> bool | int | float | tuple | str:
    """A setting as it is written in a variant; 0.1+0.2 are several numbers, because commas divide settings."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float, lambda several: tuple(map(float, several.split("+")))):
        with suppress(ValueError):
            return kind(text)
    return text


def compare(p: SimpleNamespace, text: str, unseen: Sequence[str],
            train: Sequence[str] | None = None) -> dict[str, Results]:
    """`collect` for the parameters as they are and for every variant in `text`.

    The subspace is that of `train`, or of each category's training task. A variant with "train=a+b" uses the subspace
    of these training tasks together. Raises ParameterError for what is not allowed, the setting among it where no
    training tasks are named: they would be those of the other setting."""
    asked = {}
    for name, settings in [("unchanged", {}), *variants(text)]:  # all runs are opened before any is computed
        several = settings.pop("train", None)
        if "setting" in settings and several is None and train is None:
            raise ParameterError(f"variant {name!r} changes the setting without its training tasks: "
                                 "add train=NAME+NAME to it")
        with one_line():
            chosen = train if several is None else params.names(str(several).split("+"), tasks.names(), "train")
            run = open_run(p, **settings)
            for task in chosen or []:
                run.data(task, p.seeds[0])
            asked[name] = run, chosen
    return {name: collect(run, unseen, p.seeds, chosen) for name, (run, chosen) in asked.items()}
