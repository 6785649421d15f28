"""Stage 2 of the decomposed pipeline (section 4): optimisation of an intrinsic vector for an unseen task."""

from collections.abc import Sequence

import torch
from torch.utils.checkpoint import checkpoint

from unidelta.finetune import METHODS
from unidelta.optim import Adafactor
from unidelta.projections import KINDS, draw_spread
from unidelta.stages.approximation import approximate
from unidelta.stages.maps import is_trained, mean_vector, random_vector, up_map
from unidelta.stages.scoring import loss_stack, score_stack
from unidelta.stages.workbench import Run, asked, compute, save, stacks
from unidelta.store import Artifact


def optimize(run: Run, train: Sequence[str], tasks: Sequence[str], kinds: Sequence[str] = KINDS,
             seeds: Sequence[int] = (0,), up: str = "trained",
             subspaces: dict[int, Artifact] | None = None) -> dict[tuple, Artifact]:
    """Stage 2, subspace optimisation: argmin over I of L_task(theta_init + Proj_up(I)), (task, kind, seed) -> artifact.

    tasks: unseen tasks. up: `trained`, or `random` for the control. subspaces: by seed; those of `approximate` unless
    given. With `optimize_spread` (not the paper's) the loss is taken around I, at I + epsilon; I itself is validated.

    Tensors: `I` (y,), the vector that does best on dev; `kept` (C, L, y), all validated vectors, over C checkpoints and
    L learning rates; `kept_scores` (C, L), their dev scores. Metrics: `dev` and `test` (E_sub). Raises ValueError as
    `asked` does, for another word as `up`, or if a seed has no subspace among those given.
    """
    asked(run, tasks, seeds, kinds, METHODS if subspaces else KINDS)
    is_trained(up)  # raises for any other word, before anything is trained
    subspaces = checked_subspaces(subspaces, seeds) or approximate(run, train, seeds)
    of_seeds = {seed: subspaces[seed] for seed in seeds}
    return {key: artifact for kind in kinds
            for key, artifact in _optimized(run, kind, tasks, of_seeds, up).items()}


def checked_subspaces(subspaces: dict[int, Artifact] | None, seeds: Sequence[int]) -> dict[int, Artifact] | None:
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
            # the rates of one search are one stack even if that is more than the memory holds; then it goes in parts
            at_once = (len(stack) * len(lrs) if len(stack) > 1 else
                       min(len(lrs), run.fits(delta, of[stack[0]], p.optimize_batch)))
            first = [middle[s] if middle else random_vector(subspaces[s].config["y"], t, k, s) for t, k, s in stack]
            tune(delta, stack, [of[key] for key in stack], maps, first, at_once)

    def tune(delta, stack, mine, maps, first, at_once):
        start = run.start(kind)
        seeds = [seed for _, _, seed in stack]
        intrinsic = torch.stack(first).repeat_interleave(len(lrs), 0).to(start).requires_grad_()

        def theta(vectors):  # n vectors for each artifact of the stack: (len(stack) * n, y) -> (len(stack) * n, N)
            groups = vectors.split(len(vectors) // len(stack))
            return start + torch.cat([maps[s](group) for s, group in zip(seeds, groups, strict=True)])

        def parts(vectors, each):
            return [(some, each[i * at_once:(i + 1) * at_once]) for i, some in enumerate(vectors.split(at_once))]

        def loss(step):
            rows = [piece for piece in run.rows(mine, seeds, step, p.optimize_batch) for _ in lrs]
            vectors = intrinsic
            if p.optimize_spread:  # epsilon is the same for every learning rate
                aside = torch.cat([draw_spread(seed, step, 1, intrinsic.shape[1], p.optimize_spread)
                                   for seed in seeds for _ in lrs])
                vectors = intrinsic + aside.to(intrinsic)
            if at_once == len(vectors):
                return forward(vectors, rows)
            # the backward pass makes each part anew, so that the activations of one part are held, not of all
            return torch.cat([checkpoint(forward, *part, use_reentrant=False) for part in parts(vectors, rows)])

        def forward(vectors, rows):
            return loss_stack(run, delta, theta(vectors), rows)

        def score():
            every = parts(intrinsic, [d for d in mine for _ in lrs])
            return [dev for some, datas in every for dev in score_stack(run, delta, theta(some), datas, "dev")]

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
