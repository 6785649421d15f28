"""The decomposed pipeline (section 4): solutions, a subspace approximated from them, optimisation in it, and transfer.

Its four stages are exported by `unidelta.stages`. Every stage takes a `Run` and returns artifacts keyed by what varies.
A subspace is named by its training tasks, `train`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from unidelta import memory
from unidelta.data import TaskData, collate
from unidelta.files import plain
from unidelta.finetune import METHODS
from unidelta.optim import Adafactor
from unidelta.projections import (
    KINDS,
    RATIO,
    Projection,
    centre,
    draw_ratios,
    draw_spread,
    interpolate,
    reconstruction,
)
from unidelta.stages.baselines import guessing
from unidelta.stages.blend import Parts, chosen, dealt, several
from unidelta.stages.maps import is_trained, mean_vector, offsets, random_vector, up_map
from unidelta.stages.workbench import (
    Run,
    asked,
    compute,
    loss_stack,
    one_seed,
    save,
    score_mapped,
    score_stack,
    score_training,
    stacks,
    trained_on,
)
from unidelta.store import Artifact


@dataclass
class Live:
    """The solutions of a stack that are still in training: their places in the stack and their theta (len(rows), N)."""

    rows: list[int]
    theta: Tensor

    def drop(self, rows: list[int], tensors: list[Tensor]) -> None:
        self.rows, self.theta = rows, tensors[0]


# --- original --------------------------------------------------------------------------------------------------------
def original(run: Run, tasks: Sequence[str], kinds: Sequence[str] = KINDS,
             seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """Train theta_t of every task, delta and seed in its own space: (task, kind, seed) -> artifact.

    Tensor: `theta` (N,). Metrics: `dev` and `test` (E_ori), and `best_step`. Of kind `finetune` only the scores are
    kept: its theta is a whole backbone, and nothing builds on it.
    """
    asked(run, tasks, seeds, kinds)
    datas = {(task, seed): run.data(task, seed) for task in tasks for seed in seeds}
    guess = cache(lambda task, seed: guessing(run, datas[task, seed], seed))  # the same for every kind
    return {key: artifact for kind in kinds for key, artifact in _originals(run, kind, datas, guess).items()}


def _originals(run: Run, kind: str, datas: dict[tuple, TaskData], guess: Callable) -> dict[tuple, Artifact]:
    """`original` for one kind. datas: by (task, seed). guess: what guessing scores on the dev part of each."""
    p = run.profile
    lr, steps = p.original(kind)
    waits = {"original_learnt": p.original_learnt} if p.patience and p.original_learnt else {}
    wanted = {}
    for (task, seed), data in datas.items():
        config = run.config(
            "original", "original_every", "original_batch", "patience", "init_seed", "max_length",
            kind=kind, sizes=p.sizes(kind), task=task, data=data.fingerprint, seed=seed, lr=lr, steps=steps, **waits)
        wanted[task, kind, seed] = (f"{task}-{kind}-s{seed}", config)

    def work(keys):
        delta = run.delta(kind)
        of = {(task, kind, seed): datas[task, seed] for task, kind, seed in keys}

        def length(key):
            return of[key].train.mean_length

        def fits(key):
            return run.fits(delta, of[key], p.original_batch)

        for stack in stacks(sorted(keys), p.stack, length, fits):
            train(delta, stack, [of[key] for key in stack])

    def train(delta, stack, mine):
        live = Live(list(range(len(stack))), run.start(kind).repeat(len(stack), 1).requires_grad_())

        def loss(step):
            rows = run.rows([mine[i] for i in live.rows], [stack[i][2] for i in live.rows], step, p.original_batch)
            return loss_stack(run, delta, live.theta, rows)

        def score():
            return score_stack(run, delta, live.theta, [mine[i] for i in live.rows], "dev")

        floor = None
        if waits:
            floor = [guess(task, seed) + p.original_learnt for task, _, seed in stack]
        ran = run.fit(Adafactor([live.theta], lr, delta.blocks), loss, score, "original",
                      [wanted[key] for key in stack],
                      patience=p.patience, floor=floor, steps=steps,
                      # a compiled pass is made for one number of solutions; to compile it anew takes longer
                      drop=None if p.compiled else live.drop)
        test = score_stack(run, delta, ran.best[0], mine, "test")
        for i, key in enumerate(stack):
            metrics = {"dev": ran.best_score[i], "test": test[i], "best_step": ran.best_step[i]}
            tensors = {} if kind == "finetune" else {"theta": ran.best[0][i]}
            save(run, "original", wanted[key], metrics, tensors, ran, [i])

    return compute(run, "original", wanted, work)


# --- approximate -----------------------------------------------------------------------------------------------------
def weight(run: Run) -> float:
    """Weight of the reconstruction term (alpha in appendix A.2): the profile's or, without one, its variant's own."""
    return RATIO[run.profile.variant] if run.profile.ratio is None else run.profile.ratio


def subspace_of(run: Run, train: Sequence[str], seed: int) -> dict:
    """The config of a subspace of these training tasks, except for the ids of the solutions it is approximated from."""
    spread = {"spread": run.profile.approximate_spread} if run.profile.approximate_spread else {}
    return run.config(
        "approximate", "y", "variant", "approximate_steps", "approximate_every", "approximate_batch",
        "approximate_draws", "approximate_lr", "patience",
        ratio=weight(run), train=list(train), seed=seed, **several(run, train), **spread)


def approximated(run: Run, train: Sequence[str], seeds: Sequence[int]) -> bool:
    """Whether the store has a subspace of these training tasks and settings for every seed.

    Computes nothing and reads no data. Settings of the solutions that it was approximated from are not compared.
    """
    kept = [{key: value for key, value in a.config.items() if key != "solutions"}
            for a in run.store.all("approximate")]
    return all(plain(subspace_of(run, train, seed)) in kept for seed in seeds)


def approximate(run: Run, train: Sequence[str], seeds: Sequence[int] = (0,)) -> dict[int, Artifact]:
    """Stage 1, subspace approximation: train the projections on the training tasks' solutions, seed -> artifact.

    Tensors: `up.KIND` (N, y), `down1.KIND` (y, N), `down2.KIND` (y, y), and the training tasks' own vectors `I.KIND`
    (T, y). Metrics: `dev` and `best_step`.

    The loss is the overall objective of section 4, with the reconstruction term of the profile's `variant`, as a mean
    over draws. Every draw of a step has its own training task and its own (alpha, beta). The rows of all draws, of all
    deltas and of the runs of several seeds go through the network in one mixed forward pass, and each draw's rows meet
    the solution rebuilt for that draw's task. In the multi-task setting every row is a draw of its own (appendix A.2).
    The log's `parts` hold the task loss and the weighted reconstruction of each delta, in ten means between two
    validations. Raises ValueError if there is no training task.
    """
    train = trained_on(train)
    solutions = original(run, train, seeds=seeds)
    p, ratio = run.profile, weight(run)
    wanted = {}
    for seed in seeds:
        sources = [solutions[t, k, seed].id for t in train for k in KINDS]
        wanted[seed,] = (f"{'+'.join(train)[:60]}-y{p.y}-s{seed}",
                         subspace_of(run, train, seed) | {"solutions": sources})

    def work(keys):
        mine = [seed for (seed,) in keys]
        datas = [[run.data(t, seed) for t in train] for seed in mine]
        delta = {k: run.delta(k) for k in KINDS}
        start = {k: run.start(k) for k in KINDS}
        offset = {k: torch.stack([offsets(run, solutions, train, k, s) for s in mine]) for k in KINDS}

        def untrained(kind):
            drawn = Projection.start(delta[kind].numel, p.y, mine, kind)
            return Projection(*(t.to(start[kind]).requires_grad_() for t in drawn.tensors()))

        maps = {k: untrained(k) for k in KINDS}
        draws, spread = p.approximate_draws, p.approximate_spread
        parts = Parts(p.approximate_every)

        def loss(step):
            # the rows of a draw are the same for the three deltas
            turn, rows = dealt(run, datas, mine, step, draws, p.approximate_batch)
            here = {k: chosen(offset[k], turn) for k in KINDS}  # of sixty tasks, a step needs only a few
            own = {k: maps[k].to_subspace(here[k]) for k in KINDS}
            ratios = torch.stack([draw_ratios(seed, step, draws) for seed in mine]).to(start["lora"])
            mixed = interpolate(own, ratios)
            aside = 0.0
            if spread:
                aside = torch.stack([draw_spread(seed, step, draws, p.y, spread) for seed in mine]).to(mixed)

            # (S, draws, N) for each delta, which makes S * draws groups of rows
            moved = {k: maps[k].to_delta(mixed + aside) for k in KINDS}
            entries = [(delta[k], (start[k] + moved[k]).flatten(0, 1)) for k in KINDS]
            batch = {n: t.repeat(len(KINDS), 1) for n, t in collate(rows, run.backbone.device).items()}
            task = run.losses(entries, batch).view(len(KINDS), len(mine), draws).mean(2)

            if p.variant == "released":
                rebuilt = {k: maps[k].to_delta(own[k]) for k in KINDS}
            elif spread:
                rebuilt = {k: maps[k].to_delta(mixed) for k in KINDS}
            else:  # without noise these are the same
                rebuilt = moved
            dist = [reconstruction(p.variant, rebuilt[k], here[k]) for k in KINDS]

            terms = {f"task.{k}": each for k, each in zip(KINDS, task, strict=True)}
            terms |= {f"dist.{k}": ratio * each / draws for k, each in zip(KINDS, dist, strict=True)}
            parts.add(step, terms)
            return task.sum(0) + ratio * sum(dist) / draws

        def score():  # mean over deltas and training tasks, at the centroid of a task's three vectors
            middle = centre({k: maps[k].to_subspace(offset[k]) for k in KINDS})
            entries = [(delta[k], start[k] + maps[k].to_delta(middle)) for k in KINDS]
            return score_training(run, entries, datas)

        parameters = [t for k in KINDS for t in maps[k].tensors()]
        done = run.fit(Adafactor(parameters, p.approximate_lr), loss, score, "approximate",
                       [wanted[key] for key in keys], patience=p.patience, note=parts.pop)
        best = {k: Projection(*done.best[3 * i:3 * i + 3]) for i, k in enumerate(KINDS)}
        with torch.no_grad():
            vectors = {k: best[k].to_subspace(offset[k]) for k in KINDS}
        for i, key in enumerate(keys):
            tensors = {f"{n}.{k}": getattr(best[k], n)[i] for k in KINDS for n in ("up", "down1", "down2")}
            tensors |= {f"I.{k}": vectors[k][i] for k in KINDS}
            metrics = {"dev": done.best_score[i], "best_step": done.best_step[i]}
            save(run, "approximate", wanted[key], metrics, tensors, done, [i])

    def each():
        made = {k: run.delta(k) for k in KINDS}
        rows = len(KINDS) * p.approximate_draws * p.approximate_batch
        return memory.subspace(run.backbone.config, made, p.y, len(train), rows,
                               *run.widest([run.data(t, seeds[0]) for t in train]))

    found = compute(run, "approximate", wanted, run.in_parts(work, each))
    return {seed: found[seed,] for seed in seeds}


# --- optimize --------------------------------------------------------------------------------------------------------
def optimize(run: Run, train: Sequence[str], tasks: Sequence[str], kinds: Sequence[str] = KINDS,
             seeds: Sequence[int] = (0,), up: str = "trained",
             subspaces: dict[int, Artifact] | None = None) -> dict[tuple, Artifact]:
    """Stage 2, subspace optimisation: argmin over I of L_task(theta_init + Proj_up(I)), (task, kind, seed) -> artifact.

    tasks: unseen tasks. up: `trained`, or `random` for the control. subspaces: by seed; those of `approximate` unless
    given. With `optimize_spread` (not the paper's) the loss is taken around I, at I + epsilon; I itself is validated.

    Tensors: `I` (y,), the vector that does best on dev; `kept` (C, L, y), all validated vectors, over C checkpoints and
    L learning rates; `kept_scores` (C, L), their dev scores. Metrics: `dev` and `test` (E_sub).
    """
    asked(run, tasks, seeds, kinds, METHODS if subspaces else KINDS)
    is_trained(up)  # raises for any other word, before anything is trained
    subspaces = _all(subspaces, seeds) or approximate(run, train, seeds)
    of_seeds = {seed: subspaces[seed] for seed in seeds}
    return {key: artifact for kind in kinds
            for key, artifact in _optimized(run, kind, tasks, of_seeds, up).items()}


def _all(subspaces: dict[int, Artifact] | None, seeds: Sequence[int]) -> dict[int, Artifact] | None:
    """The subspaces that were given. Raises ValueError if some were, but not for every seed."""
    if missing := [seed for seed in seeds if subspaces and seed not in subspaces]:
        raise ValueError(f"no subspace of seed {missing[0]} is given; allowed: one for every seed")
    return subspaces


def _optimized(run: Run, kind: str, tasks: Sequence[str], subspaces: dict[int, Artifact],
               up: str) -> dict[tuple, Artifact]:
    """`optimize` for one kind. subspaces: by seed."""
    p, lrs = run.profile, run.profile.optimize_lrs
    spread = {"spread": p.optimize_spread} if p.optimize_spread else {}
    wanted = {}
    for task in tasks:
        for seed, subspace in subspaces.items():
            config = run.config(
                "optimize", "optimize_steps", "optimize_every", "optimize_batch", "optimize_lrs", "optimize_init",
                subspace=subspace.id, up=up, kind=kind, task=task, data=run.data(task, seed).fingerprint, seed=seed,
                **spread)
            wanted[task, kind, seed] = (f"{task}-{kind}-{up}-s{seed}", config)

    def work(keys):
        delta = run.delta(kind)
        of = {(task, kind, seed): run.data(task, seed) for task, kind, seed in keys}
        maps = {seed: up_map(run, subspaces[seed], kind, up) for seed in {s for _, _, s in keys}}
        middle = {seed: mean_vector(subspaces[seed], kind) for seed in maps} if p.optimize_init == "train" else {}

        def length(key):
            return of[key].train.mean_length

        def fits(key):
            return run.fits(delta, of[key], p.optimize_batch) // len(lrs)

        for stack in stacks(sorted(keys), p.stack // len(lrs), length, fits):
            first = [middle[s] if middle else random_vector(subspaces[s].config["y"], t, k, s) for t, k, s in stack]
            tune(delta, stack, [of[key] for key in stack], maps, first)

    def tune(delta, stack, mine, maps, first):
        start = run.start(kind)
        seeds = [seed for _, _, seed in stack]
        intrinsic = torch.stack(first).repeat_interleave(len(lrs), 0).to(start).requires_grad_()

        def theta(vectors):  # n vectors for each artifact of the stack: (len(stack) * n, y) -> (len(stack) * n, N)
            groups = vectors.split(len(vectors) // len(stack))
            return start + torch.cat([maps[s](group) for s, group in zip(seeds, groups, strict=True)])

        def loss(step):
            rows = [piece for piece in run.rows(mine, seeds, step, p.optimize_batch) for _ in lrs]
            vectors = intrinsic
            if p.optimize_spread:  # epsilon is the same for every learning rate
                aside = torch.cat([draw_spread(seed, step, 1, intrinsic.shape[1], p.optimize_spread)
                                   for seed in seeds for _ in lrs])
                vectors = intrinsic + aside.to(intrinsic)
            return loss_stack(run, delta, theta(vectors), rows)

        def score():
            return score_stack(run, delta, theta(intrinsic), [d for d in mine for _ in lrs], "dev")

        rates = torch.tensor(lrs, dtype=torch.float32).repeat(len(stack))
        ran = run.fit(Adafactor([intrinsic], rates), loss, score, "optimize", [wanted[key] for key in stack], keep=True)
        kept, dev = (t.unflatten(1, (len(stack), len(lrs))) for t in (ran.kept, ran.kept_scores))
        best = torch.stack([kept[:, i].flatten(0, 1)[dev[:, i].flatten().argmax()] for i in range(len(stack))])
        test = score_stack(run, delta, theta(best), mine, "test")
        for i, key in enumerate(stack):
            metrics = {"dev": dev[:, i].max(), "test": test[i]}
            tensors = {"I": best[i], "kept": kept[:, i], "kept_scores": dev[:, i]}
            save(run, "optimize", wanted[key], metrics, tensors, ran, range(i * len(lrs), (i + 1) * len(lrs)))

    return compute(run, "optimize", wanted, work)


# --- transfer --------------------------------------------------------------------------------------------------------
def transfer(run: Run, train: Sequence[str], tasks: Sequence[str], kinds: Sequence[str] = KINDS,
             seeds: Sequence[int] = (0,), subspaces: dict[int, Artifact] | None = None) -> dict[tuple, Artifact]:
    """Stage 3, transfer of subspace solutions: theta_{i, s->t} = theta_init + Proj_up_t(I*_{i,s}), s source, t target.

    tasks: unseen tasks. subspaces: by seed; those of `approximate` unless given.

    Returns (task, seed) -> artifact. Metrics, as source -> target -> value: `test`, `dev`, and `chosen`, the indices
    [checkpoint, learning rate] of the vector used. For every pair this is the source vector, over checkpoints and
    learning rates, that does best on dev after transfer (section 5.1). The score of a delta to itself is E_sub again.
    """
    asked(run, tasks, seeds, kinds, METHODS if subspaces else KINDS)
    subspaces = _all(subspaces, seeds) or approximate(run, train, seeds)
    vectors = optimize(run, train, tasks, kinds, seeds, subspaces=subspaces)
    rates = len(run.profile.optimize_lrs)
    wanted = {}
    for task in tasks:
        for seed in seeds:
            config = run.config("transfer", up="trained", task=task, seed=seed, data=run.data(task, seed).fingerprint,
                                sources=[vectors[task, k, seed].id for k in kinds])
            wanted[task, seed] = (f"{task}-trained-s{seed}", config)

    def work(keys):
        held = one_seed(lambda seed: {kind: up_map(run, subspaces[seed], kind, "trained") for kind in kinds})
        for task, seed in sorted(keys, key=lambda key: key[1]):
            mine = run.data(task, seed)
            own = {k: vectors[task, k, seed] for k in kinds}
            # all validated vectors of each source, (C * L, y)
            candidates = {k: own[k].tensors()["kept"].to(run.backbone.device).flatten(0, 1) for k in kinds}
            metrics = {name: {k: {} for k in kinds} for name in ("test", "dev", "chosen")}
            for target in kinds:
                # the target's own vectors are not scored again: they were when they were found
                known = own[target].tensors()["kept_scores"].flatten()
                found = {target: (own[target].metrics["test"], known.max(), known.argmax())}
                others = [k for k in kinds if k != target]
                if others:
                    carried = _carried(run, run.delta(target), held(seed)[target],
                                       torch.stack([candidates[k] for k in others]), mine)
                    found |= dict(zip(others, carried, strict=True))
                for source, (test, dev, at) in found.items():
                    metrics["test"][source][target] = test
                    metrics["dev"][source][target] = dev
                    metrics["chosen"][source][target] = list(divmod(int(at), rates))
            save(run, "transfer", wanted[task, seed], metrics, {})

    return compute(run, "transfer", wanted, work)


def _carried(run: Run, delta, to_offset: Callable, candidates: Tensor, data: TaskData) -> list[tuple]:
    """(test score, dev score, index) of the vector that does best on dev after transfer, for each source.

    candidates: the vectors of each source, (sources, C * L, y).
    """
    dev = torch.tensor(score_mapped(run, delta, to_offset, candidates.flatten(0, 1), data, "dev"))
    dev = dev.view(len(candidates), -1)
    best = dev.argmax(1)
    taken = torch.stack([vectors[at] for vectors, at in zip(candidates, best, strict=True)])
    test = score_mapped(run, delta, to_offset, taken, data, "test")
    return list(zip(test, dev.amax(1), best, strict=True))
