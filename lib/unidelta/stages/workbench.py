"""What every stage works with: a profile opened as a `Run`, and compute-or-load."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

from torch import Tensor

from unidelta import backbone as backbones
from unidelta import checks, compiled, data, deltas, memory, profiles, tasks
from unidelta.backbone import DTYPES, Backbone
from unidelta.data import TaskData, rows_of_step
from unidelta.finetune import METHODS, Finetune
from unidelta.optim import Adafactor
from unidelta.params import one_line
from unidelta.profiles import Profile
from unidelta.projections import KINDS
from unidelta.store import Artifact, Store
from unidelta.training import Fit, fit

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A profile with its backbone loaded and its store opened: what every stage needs."""

    profile: Profile
    backbone: Backbone
    store: Store

    @classmethod
    def open(cls, profile: str = "embedded", root: str | None = None, **overrides) -> Run:
        """Load the backbone of a profile and open its store, below `root`; `overrides` replace fields of the profile.

        Raises ValueError (one line) for a setting that is not allowed.
        """
        p = profiles.get(profile, **overrides)
        run = cls(p, backbones.load(p.backbone, p.dtype, p.device), Store(root, p.name))
        if p.compiled:
            compiled.check(run.backbone.device)
        most = min(run.delta(kind).numel for kind in KINDS)
        if p.y > most:
            raise ValueError(f"y={p.y} is not allowed: at most {most}, "
                             "the number of parameters of the smallest delta on this backbone")
        return run

    def delta(self, kind: str) -> deltas.Delta:
        """One of the three deltas, or `finetune`."""
        if kind == "finetune":
            return Finetune.of(self.backbone.model)
        return deltas.make(kind, self.backbone.config, **self.profile.sizes(kind))

    def start(self, kind: str) -> Tensor:
        """theta_init of one method, (N,): the same for every task and seed; theta_0 for `finetune`."""
        return self.delta(kind).init(self.profile.init_seed).to(self.backbone.device)

    def losses(self, entries: Sequence[tuple], batch: dict[str, Tensor]) -> Tensor:
        """L_task of every solution on its own rows of the batch, in one forward pass: (sum of all K,).

        entries: [(delta, theta (K, N)), ...].
        """
        one_pass = compiled.captured if self.profile.compiled else compiled.stacked
        return one_pass(self.backbone.model, entries, batch)

    def fits(self, delta: deltas.Delta, data: TaskData, rows: int) -> int:
        """How many solutions of a delta fit into the free memory at once, each on `rows` rows of this task per step."""
        each = memory.solution(self.backbone.config, delta, rows, *self.widest([data]))
        return memory.fitting(each, self.backbone.device)

    def widest(self, datas: Sequence[TaskData]) -> tuple[int, int, int]:
        """The most that a batch of these tasks takes: tokens per input, tokens per answer, and bytes per number."""
        return (max(d.longest_input for d in datas), max(d.longest_answer for d in datas),
                DTYPES[self.profile.dtype].itemsize)

    def in_parts(self, work: Callable[[list], None], each: Callable[[], float]) -> Callable[[list], None]:
        """Return `work`, to be done on only as many keys at a time as the free memory holds, each of `each()` bytes."""
        def in_turn(keys):
            for part in stacks(keys, memory.fitting(each(), self.backbone.device)):
                work(part)
        return in_turn

    def data(self, task: str, seed: int) -> TaskData:
        """The rows of a task as the profile takes them: its source, its caps, and what unseen tasks are reported on.

        Raises ValueError if these rows cannot be had.
        """
        return data.load(self.backbone, task, seed=seed, max_length=self.profile.max_length,
                         root=self.store.base.parent, **self.rows_taken(task))

    def rows_taken(self, task: str) -> dict:
        """Which rows of a task the profile takes, as arguments of `tasks.load`.

        The profile's `report_on` does not concern the setting's training tasks: they have the same rows whatever is
        reported on.
        """
        p = self.profile
        reported = "test" if task in tasks.names(p.setting, "train") else p.report_on
        return {"source": p.source, "mirror": p.mirror, "caps": p.caps, "report_on": reported}

    @staticmethod
    def rows(datas: Sequence[TaskData], seeds: Sequence[int], step: int, batch: int) -> list[tuple]:
        """The training rows of one step, one (split, row numbers) piece for each pair of a task and a seed."""
        return [(d.train, rows_of_step(len(d.train), d.task, s, step, batch))
                for d, s in zip(datas, seeds, strict=True)]

    def config(self, stage: str, *settings: str, **what) -> dict:
        """Everything that determines an artifact: stage, backbone, dtype, the profile's named settings, and `what`."""
        p = self.profile
        return {"stage": stage, "backbone": self.backbone.fingerprint, "dtype": p.dtype,
                **{s: getattr(p, s) for s in settings}, **what}

    def fit(self, optimizer: Adafactor, loss, score, stage: str, stack: Sequence[tuple], *,
            steps: int | None = None, **options) -> Fit:
        """Call `training.fit` with the settings of a stage and with `options`.

        stack: (slug, config) of the stack's artifacts, in the order in which they will be saved. steps: in place of
        the profile's number of steps for this stage.
        """
        p = self.profile
        done = fit(optimizer, loss, score,
                   steps=steps or getattr(p, f"{stage}_steps"), every=getattr(p, f"{stage}_every"),
                   folder=self.store.of_stack(stage, stack), label=f"{stage} {stack[0][0]}", **options)
        return replace(done, stack=[slug for slug, _ in stack])


# Stages that go seed by seed hold the subspace of one seed (of two while the next one is read): at full size it is
# gigabytes.
one_seed = lru_cache(maxsize=1)


def compute(run: Run, stage: str, wanted: dict[tuple, tuple[str, dict]],
            work: Callable[[list[tuple]], None]) -> dict[tuple, Artifact]:
    """Compute-or-load: load the artifacts that the store has, compute the others, and return all of them by key.

    wanted: key -> (slug, config). `work(keys)` must save the artifacts of these keys.

    Every missing artifact is locked, so that no other process computes it too; a process that waited for the lock finds
    the artifact done. Stacks that a killed run had begun are continued first. They are continued whole, with those of
    their artifacts that are already saved, because a checkpoint is of a whole stack.
    """
    found = {key: run.store.find(stage, *named) for key, named in wanted.items()}
    with ExitStack() as held:
        # all processes take the locks in the same order, so that no deadlock can occur
        for name in sorted(run.store.path(stage, *wanted[key]).name for key, a in found.items() if a is None):
            held.enter_context(run.store.lock(stage, name))
        found = {key: a or run.store.find(stage, *wanted[key]) for key, a in found.items()}
        missing = [key for key, a in found.items() if a is None]
        for stack in _begun(run, stage, wanted) if missing else ():
            if set(stack) & set(missing):
                work(stack)
                missing = [key for key in missing if key not in stack]
        if missing:
            work(missing)
    return {key: a or run.store.find(stage, *wanted[key]) for key, a in found.items()}


def _begun(run: Run, stage: str, wanted: dict[tuple, tuple[str, dict]]) -> list[list[tuple]]:
    """The stacks, as keys of `wanted`, that a killed run had begun and of which every artifact is wanted."""
    names = {run.store.path(stage, *named).name: key for key, named in wanted.items()}
    return [[names[name] for name in stack] for stack in run.store.begun(stage) if names.keys() >= set(stack)]


def asked(run: Run, tasks: Sequence[str], seeds: Sequence[int], kinds: Sequence[str] | None = None,
          allowed: Sequence[str] = METHODS) -> None:
    """Check what a stage is asked for, before anything is trained; at full size, training takes hours.

    kinds: None for a stage that does not take any. Raises ValueError if `tasks`, `kinds` or `seeds` is not a list of at
    least one, if a kind is not among `allowed`, or if a seed is out of range. Raises ParameterError if the rows of a
    task cannot be had.
    """
    checks.some("tasks", tasks)
    if kinds is not None:
        checks.some("kinds", kinds)
        for kind in kinds:
            checks.known(kind, allowed, "unknown delta")
    checks.seeds(seeds)
    with one_line():
        for task, seed in product(tasks, seeds):
            run.data(task, seed)


def scored(run: Run, stage: str, tasks: Sequence[str], seeds: Sequence[int], measure: Callable[[str, int], dict],
           named: Callable[[str, int], dict]) -> dict[tuple, Artifact]:
    """Compute or load artifacts that hold scores only: (task, seed) -> artifact with metrics `measure(task, seed)`.

    named: (task, seed) -> what determines the artifact besides the task's rows. `measure` is called seed by seed. It
    can therefore load the subspace of a seed once and hold it, which at full size is gigabytes.
    """
    wanted = {}
    for seed in seeds:
        for task in tasks:
            config = run.config(stage, task=task, seed=seed, data=run.data(task, seed).fingerprint, **named(task, seed))
            wanted[task, seed] = (f"{task}-s{seed}", config)

    def work(keys):
        for key in progress(stage, keys):
            save(run, stage, wanted[key], measure(*key), {})

    return compute(run, stage, wanted, work)


def progress(label: str, parts: Sequence) -> Iterator:
    """Yield each of `parts`, and log after it how many are done, the seconds of one, and the minutes left.

    For what scores and trains nothing: with many training tasks, or at full size, that takes long, too."""
    began = time.monotonic()
    for n, part in enumerate(parts, 1):
        yield part
        each = (time.monotonic() - began) / n
        logger.info("%s %d of %d | %.1f s each, %.1f min left", label, n, len(parts), each,
                    each * (len(parts) - n) / 60)


def stacks(keys: Sequence, size: int, length: Callable = lambda key: 1, fits: Callable | None = None) -> list[list]:
    """Cut `keys` into groups of at most `size`, as equal in number as possible.

    Within a group no key's `length` is more than 1.3 times another's, because rows are padded to the longest and
    padding costs work. fits: how many keys like this one the memory holds at once, if that may be fewer than `size`.
    """
    alike: list[list] = []  # keys of similar length
    for key in sorted(keys, key=length):
        if alike and length(key) <= 1.3 * length(alike[-1][0]):
            alike[-1].append(key)
        else:
            alike.append([key])
    out = []
    for group in alike:
        most = min([size, *map(fits, group)]) if fits else size
        n = math.ceil(len(group) / max(most, 1))
        out += [sorted(group[len(group) * i // n:len(group) * (i + 1) // n]) for i in range(n)]
    return out


def save(run: Run, stage: str, named: tuple[str, dict], metrics: dict, tensors: dict, done: Fit | None = None,
         columns: Sequence[int] = ()) -> Artifact:
    """Save one artifact of a stack, which its provenance names.

    Its log keeps those columns of the stack's log that belong to it.
    """
    def own(record):
        # `loss` and `dev` have one number for each problem, `parts` has one curve for each run
        mine = {"step": record["step"], "loss": [record["loss"][i] for i in columns],
                "dev": [record["dev"][i] for i in columns]}
        if "parts" in record:
            mine["parts"] = {part: each[columns[0]] for part, each in record["parts"].items()}
        return mine

    log = None
    if done:
        log = [own(record) for record in done.log if record["dev"][columns[0]] is not None]
    return run.store.save(stage, *named, metrics, tensors, log, {"stack": done.stack} if done else {})
