"""From artifacts to the tables of the book: relative performance, intervals, controls, and where each number comes from.

`check` and `open_run` turn a notebook's parameters into a `Run`; `collect` computes or loads every stage for some unseen tasks and lays
the scores out in one long frame; the rest are functions from that frame to HTML tables and Markdown sentences. Nothing here trains.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from IPython.display import HTML, Markdown
from scipy.special import stdtrit

from unidelta import params, profiles, shared, suite, tasks
from unidelta import provenance as machine
from unidelta.controls import chance, controls, majority
from unidelta.evaluation import scores
from unidelta.finetune import METHODS
from unidelta.params import ParameterError
from unidelta.profiles import PROFILES
from unidelta.projections import KINDS, VARIANTS
from unidelta.stages import approximate, optimize, original, transfer
from unidelta.workbench import Run

LABEL = {"adapter": "Adapter", "lora": "LoRA", "prefix": "Prefix", "finetune": "Fine-tune"}
PAIRS = [(s, t) for s in KINDS for t in KINDS if s != t]  # the published order: A->L, A->P, L->A, ...
CONTROLS = {"random": "random up-projection, tuned", "train_solution": "training solution as it is", "own_vector": "own training vector as it is",
            "mean_vector": "mean training vector as it is", "untuned": "untuned backbone", "majority": "majority answer", "chance": "chance"}
FREE = ("untuned", "majority", "chance")
MARGIN = 15.0  # points that E_ori should lie above chance and above the untuned backbone; cells that do not are flagged
FLAG = "†"
TRANSFER = (2, 4, 8, 9)  # the paper's tables of transfer between deltas; beside them 1, 3, 6, 7 of optimisation (3, 4, 7, 9: multi-task setting)


def positive_whole(value) -> bool:
    """a whole number from 1"""
    return isinstance(value, int) and value > 0


# --- parameters of a notebook ----------------------------------------------------------------------------------------
def check(namespace: dict, **allowed) -> SimpleNamespace:
    """`params.check` with the rules that all notebooks share; of names, lists are made: `seeds`, `deltas`, `train` (training tasks), `unseen` (tasks).

    `unseen` is the parameter `task`, or else the tasks that the training tasks serve, of which a parameter `tasks` may choose.
    Raises ParameterError, one line, for anything that is unknown, mistyped or not allowed, before anything is computed.
    """
    shared = {"profile": list(PROFILES), "backbone": str, "source": tasks.SOURCES, "mirror": str, "steps": positive_whole, "y": positive_whole,
              "variant": VARIANTS, "task": tasks.names()}
    p = params.check(namespace, {k: v for k, v in shared.items() if k in namespace} | allowed)
    with one_line():
        if hasattr(p, "seeds"):
            p.seeds = params.names(p.seeds, range(100), "seed")
        if hasattr(p, "deltas"):
            p.deltas = params.names(p.deltas, KINDS, "delta")
        if hasattr(p, "task"):
            given = getattr(p, "train", p.task)
            p.train, p.unseen = params.names(given, tasks.names(), "train") if given else [suite.train_for(p.task)], [p.task]
        elif hasattr(p, "train"):
            served = suite.single(p.source or PROFILES[p.profile].source)
            p.train = params.names(p.train, list(served), "train")
            p.unseen = [t for name in p.train for t in served[name]]
            p.unseen = params.names(p.tasks, p.unseen, "tasks") if hasattr(p, "tasks") else p.unseen
    return p


@contextmanager
def one_line():
    """Inside, what is wrong with a value is said in one line, without a traceback."""
    try:
        yield
    except ValueError as error:
        raise ParameterError(" ".join(str(error).split())) from None


def open_run(p: SimpleNamespace, **overrides) -> Run:
    """The `Run` of checked parameters. Its tasks are read once, so that what the source lacks is said before anything is computed.

    Progress goes to progress.log beside the artifacts. Raises ParameterError.
    """
    names = {f.name for f in fields(PROFILES["embedded"])} - {"name"} | {"steps"}
    with one_line():
        run = Run.open(p.profile, **{k: v for k, v in vars(p).items() if k in names} | overrides)
        for task in dict.fromkeys([*getattr(p, "train", []), *getattr(p, "unseen", [])]):
            run.data(task, p.seeds[0])
    logger, file = logging.getLogger("unidelta"), run.store.base / "progress.log"
    mine = [h for h in logger.handlers if isinstance(h, logging.FileHandler)]
    if not any(Path(h.baseFilename) == file.absolute() for h in mine):
        for handler in mine:  # of another store
            logger.removeHandler(handler)
            handler.close()
        run.store.base.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(file, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s", datefmt="%H:%M:%S"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    return run


def variants(text: str) -> list[tuple[str, dict]]:
    """Settings to compare: "y=16; y=16, optimize_steps=300" -> [("y=16", {"y": 16}), ...]. Raises ParameterError."""
    found = []
    for name in filter(None, (part.strip() for part in text.split(";"))):
        pairs = [setting.partition("=") for setting in name.split(",")]
        if any(not mark for _, mark, _ in pairs):
            raise ParameterError(f"variant {name!r} must read setting=value, setting=value")
        found.append((name, {key.strip(): int(value) if value.strip().isdigit() else value.strip() for key, _, value in pairs}))
    return found


def compare(p: SimpleNamespace, text: str, unseen: Sequence[str], base: bool = False) -> dict[str, Results]:
    """`collect` for every variant in `text`, after the parameters as they are if `base`; "train=a+b" is a subspace of several training tasks."""
    found = {}
    for name, settings in [("as it is", {})] * base + variants(text):
        train = settings.pop("train", None)
        with one_line():
            chosen = params.names(train.split("+"), tasks.names(), "train") if train else None
        found[name] = collect(open_run(p, **settings), unseen, p.seeds, chosen)
    return found


# --- results ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Results:
    """`frame`: one row per unseen task, seed, source and target delta; columns `ori` (E_ori of the target), `sub` (E_sub; through the target's
    map) and one per control of the target (`random`: tuned by itself), all in percent. `ids`: the artifacts they come from."""

    run: Run
    seeds: list[int]
    frame: pd.DataFrame
    ids: list[str]

    @property
    def kinds(self) -> list[str]:
        return [k for k in METHODS if k in set(self.frame.target)]

    @property
    def own(self) -> pd.DataFrame:  # every delta in the subspace by itself
        return self.frame[self.frame.source == self.frame.target]

    @property
    def moved(self) -> pd.DataFrame:  # the six directions of transfer
        return self.frame[self.frame.source != self.frame.target]

    def caption(self, text: str) -> Markdown:
        """The line below a table or figure: what it shows, then what it was obtained with."""
        return caption(self.run, self.seeds, text, self.ids)

    def provenance(self) -> HTML:
        return provenance(self.run, self.ids)


def caption(run: Run, seeds: Sequence[int], text: str, ids: Sequence[str]) -> Markdown:
    """See `Results.caption`."""
    return Markdown(f"*{text} {setting(run, seeds)}; {len(ids)} artifacts.*")


def provenance(run: Run, ids: Sequence[str]) -> HTML:
    """The artifacts behind a page, folded, so that every cell can be traced to a folder in runs/."""
    now, base = machine.current(), run.store.base.name
    made = "; ".join(f"{k} {now[k]}" for k in ("python", "torch", "transformers", "cpu", "git_commit") if now[k])
    listing = "\n".join(escape(f"runs/{base}/{i}") for i in ids)
    return HTML(f"<details><summary>{len(ids)} artifacts behind this page</summary><p>{escape(made)}</p><pre>{listing}</pre></details>")


def setting(run: Run, seeds: Sequence[int]) -> str:
    """Profile, backbone, data and seeds, and what differs from the profile, in a line."""
    p, own = run.profile, profiles.get(run.profile.name, setting=run.profile.setting)
    changed = [f"{f.name}={getattr(p, f.name)}" for f in fields(p) if f.name not in ("mirror", "device") and getattr(p, f.name) != getattr(own, f.name)]
    data = "stand-in data" if p.source == "embedded" else f"real rows ({p.source})"
    kind = "; multi-task setting" if p.setting == "multi" else ""
    return (f"Profile `{p.name}`{kind}; backbone `{run.backbone.fingerprint}`; {data}; y = {p.y}; seeds {', '.join(map(str, seeds))}"
            + (f"; changed from the profile: `{', '.join(changed)}`" if changed else ""))


def serving(unseen: Sequence[str], train: Sequence[str] | None) -> dict[tuple, list[str]]:
    """Training tasks of a subspace -> the unseen tasks it serves: `train` for all of them, or else each category's training task."""
    served: dict[tuple, list[str]] = {}
    for task in unseen:
        served.setdefault(tuple(train or [suite.train_for(task)]), []).append(task)
    return served


def collect(run: Run, unseen: Sequence[str], seeds: Sequence[int], train: Sequence[str] | None = None, kinds: Sequence[str] = KINDS) -> Results:
    """Every stage and control for the unseen tasks, each from the subspace of `train`, or else of its category's training task.

    A subspace is always that of the three deltas; `kinds` are those whose rows are kept."""
    lines, ids = [], set()
    for trained, mine in serving(unseen, train).items():
        stages = own, _, moved, noise, still = (original(run, mine, seeds=seeds), approximate(run, trained, seeds), transfer(run, trained, mine, seeds),
                                                optimize(run, trained, mine, seeds=seeds, up="random"), controls(run, trained, mine, seeds))
        for found in stages:
            ids |= {a.id for a in found.values()} | {i for a in found.values() for i in a.config.get("sources", a.config.get("solutions", []))}
        for task, seed in ((t, s) for t in mine for s in seeds):
            m = still[task, seed].metrics
            more = {t: {"random": noise[task, t, seed].metrics["test"], **{c: m[c][t] for c in ("train_solution", "own_vector", "mean_vector")}} for t in KINDS}
            lines += [{"train": "+".join(trained), "task": task, "seed": seed, "source": s, "target": t, "ori": own[task, t, seed].metrics["test"],
                       "sub": moved[task, seed].metrics["test"][s][t], **more[t], **{c: m[c] for c in FREE}}
                      for s in KINDS for t in KINDS if s in kinds and t in kinds]
    frame = pd.DataFrame(lines)
    columns = [c for c in ("ori", "sub", *CONTROLS) if c in frame]
    frame[columns] = 100 * frame[columns]
    return Results(run, list(seeds), frame, sorted(ids))


def collect_shared(run: Run, unseen: Sequence[str], seeds: Sequence[int], train: Sequence[str] | None = None, kinds: Sequence[str] = METHODS) -> Results:
    """The same for the simplified pipeline (appendix A.3), fine-tuning included if `kinds` has it. It has no solutions of its own to apply as they are:
    its controls are the random up-projection (tuned, each method by itself), the untuned backbone, majority and chance."""
    lines, ids = [], set()
    for trained, mine in serving(unseen, train).items():
        own, spaces = original(run, mine, kinds, seeds), shared.shared(run, trained, kinds, seeds)
        moved, noise = shared.transfer(run, trained, mine, kinds, seeds), shared.optimize(run, trained, mine, kinds, seeds, "random")
        for found in (own, spaces, moved, noise):
            ids |= {a.id for a in found.values()} | {i for a in found.values() for i in a.config.get("sources", [])}
        for task, seed in ((t, s) for t in mine for s in seeds):
            free = untouched(run, task, seed)
            lines += [{"train": "+".join(trained), "task": task, "seed": seed, "source": s, "target": t, "ori": own[task, t, seed].metrics["test"],
                       "sub": moved[task, seed].metrics["test"][s][t], "random": noise[task, t, seed].metrics["test"], **free} for s in kinds for t in kinds]
    frame = pd.DataFrame(lines)
    columns = [c for c in ("ori", "sub", "random", *FREE) if c in frame]
    frame[columns] = 100 * frame[columns]
    return Results(run, list(seeds), frame, sorted(ids))


def collect_original(run: Run, unseen: Sequence[str], seeds: Sequence[int], kinds: Sequence[str] = METHODS) -> Results:
    """Every method in its own space (appendix A.6): a frame with `ori` alone, one row per task, seed and method, beside the untuned backbone,
    majority and chance; there is no subspace in it."""
    own = original(run, unseen, kinds, seeds)
    lines = []
    for task, seed in ((t, s) for t in unseen for s in seeds):
        free = untouched(run, task, seed)
        lines += [{"task": task, "seed": seed, "source": k, "target": k, "ori": own[task, k, seed].metrics["test"], **free} for k in kinds]
    frame = pd.DataFrame(lines)
    frame[["ori", *FREE]] = 100 * frame[["ori", *FREE]]
    return Results(run, list(seeds), frame, sorted(a.id for a in own.values()))


def untouched(run: Run, task: str, seed: int) -> dict[str, float]:
    """What needs no training, in [0, 1]: test scores of the untuned backbone, of the majority answer and of chance."""
    mine = run.data(task, seed)
    return {"untuned": scores(run.backbone, [], [mine], "test")[0], "majority": majority(mine), "chance": chance(run, mine, seed)}


def relative(frame: pd.DataFrame, column: str = "sub") -> pd.Series:
    """100 * E / E_ori for every row; undefined where E_ori is zero."""
    return (100 * frame[column] / frame["ori"]).where(frame["ori"] > 0)


def interval(values: Sequence[float], among: int = 1) -> tuple[float, float]:
    """Mean and half the width of its 95 % t-interval, which is wide enough for `among` of them at once (Bonferroni); the half is undefined
    for a single value."""
    values = pd.Series(values, dtype=float)
    n = len(values)
    return values.mean(), (stdtrit(n - 1, 1 - 0.025 / among) * values.std(ddof=1) / n ** 0.5 if n > 1 else float("nan"))


def over_seeds(frame: pd.DataFrame, values: pd.Series) -> tuple[float, float]:
    """Mean and half interval over seeds of the average within each seed."""
    return interval(values.groupby(frame["seed"]).mean())


def recovered(frame: pd.DataFrame) -> tuple[float, float]:
    """100 * (E_sub - chance) / (E_ori - chance) of the averages within each seed: mean and half interval over seeds.

    Undefined where E_ori is not five points above chance: there is next to nothing to recover."""
    mean = frame.groupby("seed")[["sub", "ori", "chance"]].mean()
    room = mean["ori"] - mean["chance"]
    return interval((100 * (mean["sub"] - mean["chance"]) / room).where(room > 5))


def weak(frame: pd.DataFrame) -> pd.Series:
    """Whether E_ori (mean over seeds) of the row's task and delta is less than MARGIN above chance or above the untuned backbone."""
    mean = frame.groupby(["task", "target"])[["ori", "chance", "untuned"]].transform("mean")
    return mean["ori"] - mean[["chance", "untuned"]].max(axis=1) < MARGIN


def number(mean: float, half: float = float("nan")) -> str:
    """One decimal, with its half interval where there is one, and a dash for what is undefined."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.1f}" + ("" if pd.isna(half) else f" ± {half:.1f}")


def rows_of(frame: pd.DataFrame, clear: bool = True) -> dict[str, pd.DataFrame]:
    """The groups every average is given over: label words shared, not shared, all, and, if `clear`, all but the flagged cells.

    Left out is what is empty or says the same again: `all` where there is one group, and the last where nothing is flagged."""
    trained = {task: train.split("+") for task, train in zip(frame.task, frame.train, strict=True)}
    groups, flags = suite.groups(list(trained), trained), weak(frame)
    found = {name: frame[frame.task.isin(chosen)] for name, chosen in groups.items() if chosen}
    found |= {f"all but {FLAG}": frame[~flags]} if clear and flags.any() and not flags.all() else {}
    return {name: rows for name, rows in found.items() if name != "all" or len(groups["all"]) not in map(len, list(groups.values())[:2])}


def html(lines: Sequence[dict]) -> HTML:
    """Rows of ready text as a table."""
    return HTML(pd.DataFrame(lines).to_html(index=False, escape=False, border=0, na_rep="–", justify="left"))
