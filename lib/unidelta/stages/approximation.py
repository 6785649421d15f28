"""Stage 1 of the decomposed pipeline (section 4): a subspace approximated from training solutions."""

from collections.abc import Sequence

import torch

from unidelta import checks, memory
from unidelta.data import collate
from unidelta.files import plain
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
from unidelta.stages.blend import Parts, chosen, dealt, several
from unidelta.stages.maps import offsets
from unidelta.stages.scoring import score_training
from unidelta.stages.solutions import original
from unidelta.stages.workbench import Run, compute, save
from unidelta.store import Artifact


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
    checks.some("train", train)
    train = list(train)
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
