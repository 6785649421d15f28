"""The simplified pipeline (appendix A.3): all methods share one intrinsic vector per task, and no solution comes first.

    shared -> optimize -> transfer

Besides the three deltas, full fine-tuning can take part, with a Fastfood transform as its up-projection (section 5.3,
appendix A.5). The later stages are those of the decomposed pipeline, on this subspace and with the settings of
appendix A.4, or of A.5 where fine-tuning takes part.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unidelta import checks, memory
from unidelta.data import collate
from unidelta.fastfood import Fastfood
from unidelta.finetune import METHODS
from unidelta.optim import Adafactor
from unidelta.projections import KINDS
from unidelta.stages import optimization, transferring
from unidelta.stages.blend import chosen, dealt, several
from unidelta.stages.controls import FACTORS, length_fitted
from unidelta.stages.maps import is_trained, up_map
from unidelta.stages.scoring import loss_stack, score_best, score_training
from unidelta.stages.workbench import Run, asked, compute, one_seed, save, scored
from unidelta.store import Artifact


def allowed(kinds: Sequence[str]) -> list[str]:
    """`kinds` in the order of METHODS. Raises ValueError unless it is a list of at least one, all among METHODS."""
    checks.some("kinds", kinds)
    for kind in kinds:
        checks.known(kind, METHODS, "unknown method")
    return [k for k in METHODS if k in kinds]


def start_up(numel: int, y: int, seed: int, kind: str) -> Tensor:
    """An untrained Proj_up of one delta, (N, y) from N(0, 0.02²)."""
    generator = torch.Generator().manual_seed(2_000_000 + 1000 * seed + KINDS.index(kind))
    return torch.empty(numel, y).normal_(0, 0.02, generator=generator)


def start_shared(tasks: int, y: int, seed: int) -> Tensor:
    """The shared vectors before training, one per training task, (T, y) from N(0, 0.02²)."""
    generator = torch.Generator().manual_seed(3_000_000 + seed)
    return torch.empty(tasks, y).normal_(0, 0.02, generator=generator)


def shared(run: Run, train: Sequence[str], kinds: Sequence[str] = METHODS,
           seeds: Sequence[int] = (0,)) -> dict[int, Artifact]:
    """Stage 1 of this pipeline: train one vector per training task together with all up-projections, seed -> artifact.

    Tensors: `I` (T, y), the vector of each training task that all `kinds` share; `up.KIND` (N, y) of every delta; and,
    with `finetune`, Fastfood's `G` (sum of P,).

    Minimises the mean over kinds of L_task(theta_init + Proj_up(I_task)). Every draw of a step has its own training
    task, and its rows have that task's vector; they are the same rows for all kinds. The three groups of parameters (I,
    the up-projections, G) have learning rates of their own. The runs of several seeds form one stack.
    Raises ValueError if there is no training task or no kind, if a kind is not a method, or for seeds out of range.
    """
    p = run.profile
    kinds = allowed(kinds)
    checks.some("train", train)
    train = list(train)
    asked(run, train, seeds)
    mixed = [k for k in kinds if k != "finetune"]
    tuning = "finetune" in kinds
    draws = p.shared_draws
    if tuning:
        steps, batch = p.fastfood_steps, p.fastfood_batch
        only = {"fastfood": p.fastfood, "lr_G": p.fastfood_lr_G}
    else:
        steps, batch = p.shared_steps, p.shared_batch
        only = {}
    only |= several(run, train)
    if draws > 1:
        only["draws"] = draws
    wanted = {}
    for seed in seeds:
        config = run.config(
            "shared", "y", "shared_every", "patience", "shared_lr_I", "shared_lr_up", "init_seed", "max_length",
            shared_steps=steps, kinds=kinds, batch=batch, train=list(train), sizes={k: p.sizes(k) for k in kinds},
            data=[run.data(t, seed).fingerprint for t in train], seed=seed, **only)
        wanted[seed,] = (f"{'+'.join(train)[:60]}-y{p.y}-{'+'.join(kinds)}-s{seed}", config)

    def work(keys):
        mine = [seed for (seed,) in keys]
        datas = [[run.data(t, seed) for t in train] for seed in mine]
        delta = {k: run.delta(k) for k in kinds}
        start = {k: run.start(k) for k in kinds}
        device = run.backbone.device
        intrinsic = torch.stack([start_shared(len(train), p.y, seed) for seed in mine]).to(device).requires_grad_()
        up = {k: torch.stack([start_up(delta[k].numel, p.y, seed, k) for seed in mine]).to(device).requires_grad_()
              for k in mixed}
        # the view [t] makes every task's vector a parameter of its own for the optimiser
        trained = [(intrinsic, p.shared_lr_I, lambda t: [t])] + [(up[k], p.shared_lr_up, None) for k in mixed]
        if tuning:
            fast = Fastfood.start(delta["finetune"].numels, p.y, mine, p.fastfood, device)
            trained.append((fast.G.requires_grad_(), p.fastfood_lr_G, fast.blocks))

        def theta(kind, vectors):  # (S, T, y) -> (S, T, N)
            return start[kind] + (fast.to_delta(vectors) if kind == "finetune" else vectors @ up[kind].mT)

        def loss(step):
            turn, rows = dealt(run, datas, mine, step, draws, batch)
            vectors = chosen(intrinsic, turn)
            total = 0.0  # with the first loss added, one number for each draw of each run, (S * draws,)
            if tuning:
                total = loss_stack(run, delta["finetune"], theta("finetune", vectors).flatten(0, 1), rows)
            if mixed:
                together = {n: t.repeat(len(mixed), 1) for n, t in collate(rows, device).items()}
                entries = [(delta[k], theta(k, vectors).flatten(0, 1)) for k in mixed]
                total = total + run.losses(entries, together).view(len(mixed), -1).sum(0)
            return total.view(len(mine), draws).mean(1) / len(kinds)

        def score():
            return score_training(run, [(delta[k], theta(k, intrinsic)) for k in kinds], datas)

        tensors, rates, views = (list(column) for column in zip(*trained, strict=True))
        done = run.fit(Adafactor(tensors, rates, views), loss, score, "shared", [wanted[key] for key in keys],
                       patience=p.patience, steps=steps)
        names = ["I", *(f"up.{k}" for k in mixed)]
        if tuning:
            names.append("G")
        for i, key in enumerate(keys):
            metrics = {"dev": done.best_score[i], "best_step": done.best_step[i]}
            save(run, "shared", wanted[key], metrics,
                 {name: best[i] for name, best in zip(names, done.best, strict=True)}, done, [i])

    def each():
        config = run.backbone.config
        widest = run.widest([run.data(t, seeds[0]) for t in train])
        space = 0
        if mixed:
            made = {k: run.delta(k) for k in mixed}
            space += memory.subspace(config, made, p.y, 0, len(mixed) * draws * batch, *widest, down=False)
        if tuning:
            tuned = run.delta("finetune")
            space += memory.fastfood(tuned, p.y) + draws * memory.solution(config, tuned, batch, *widest)
        return space

    found = compute(run, "shared", wanted, run.in_parts(work, each))
    return {seed: found[seed,] for seed in seeds}


def later(run: Run, kinds: Sequence[str]) -> Run:
    """`run` with this pipeline's settings for the later stages: appendix A.4's, or A.5's if fine-tuning takes part."""
    of = "fastfood" if "finetune" in kinds else "shared"
    settings = {f"optimize_{name}": getattr(run.profile, f"{of}_optimize_{name}") for name in ("every", "batch", "lrs")}
    return replace(run, profile=replace(run.profile, **settings))


def optimize(run: Run, train: Sequence[str], tasks: Sequence[str], kinds: Sequence[str] = METHODS,
             seeds: Sequence[int] = (0,), up: str = "trained") -> dict[tuple, Artifact]:
    """`optimization.optimize` in the subspace that `kinds` share: (task, kind, seed) -> artifact."""
    asked(run, tasks, seeds)
    is_trained(up)  # raises for any other word, before anything is trained
    spaces = shared(run, train, kinds, seeds)
    return optimization.optimize(later(run, kinds), train, tasks, allowed(kinds), seeds, up, spaces)


def transfer(run: Run, train: Sequence[str], tasks: Sequence[str], kinds: Sequence[str] = METHODS,
             seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """`transferring.transfer` between all `kinds` that share the subspace: (task, seed) -> artifact.

    This is the 4 x 4 of Table 5 or, without `finetune`, the 3 x 3 of Tables 6 to 9. The diagonal is E_sub.
    """
    asked(run, tasks, seeds)
    spaces = shared(run, train, kinds, seeds)
    return transferring.transfer(later(run, kinds), train, tasks, allowed(kinds), seeds, spaces)


def _offsets(run: Run, spaces: dict[int, Artifact], kinds: Sequence[str]) -> Callable[[int], dict[str, Tensor]]:
    """A function: seed -> Proj_up_t(I_task) of every training task's shared vector, (T, N), by method.

    The offsets of the last seed asked for are held.
    """
    @one_seed
    def of(seed):
        vectors = spaces[seed].tensors()["I"].to(run.backbone.device)
        return {k: up_map(run, spaces[seed], k, "trained")(vectors) for k in kinds}
    return of


def untuned(run: Run, train: Sequence[str], tasks: Sequence[str], kinds: Sequence[str] = METHODS,
            seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """The control of this pipeline: the training tasks' shared vectors as they are, theta_init + Proj_up_t(I_task).

    Nothing is tuned for the unseen task. (task, seed) -> artifact, metrics `shared_vector` by method. With several
    training tasks, the vector that does best on dev is taken.
    """
    asked(run, tasks, seeds)
    kinds, spaces = allowed(kinds), shared(run, train, kinds, seeds)
    offsets = _offsets(run, spaces, kinds)

    def measure(task, seed):
        data = run.data(task, seed)
        return {"shared_vector": {k: score_best(run, run.delta(k), run.start(k) + offsets(seed)[k], data)
                                  for k in kinds}}

    return scored(run, "untuned", tasks, seeds, measure, lambda task, seed: {"subspace": spaces[seed].id})


def lengthened(run: Run, train: Sequence[str], tasks: Sequence[str], kinds: Sequence[str] = METHODS,
               seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """`untuned` with one number tuned, theta_init + Proj_up_t(f I_task): `controls.lengthened` of this pipeline.

    Here the map from vector to offset is linear, so that f scales the length of the vector.
    """
    asked(run, tasks, seeds)
    kinds, spaces = allowed(kinds), shared(run, train, kinds, seeds)
    offsets = _offsets(run, spaces, kinds)
    return scored(run, "lengthened", tasks, seeds,
                  lambda task, seed: length_fitted(run, offsets(seed), run.data(task, seed)),
                  lambda task, seed: {"factors": list(FACTORS), "subspace": spaces[seed].id})
