"""Stage 3 of the decomposed pipeline (section 4): a vector found with one delta, sent through another's projection."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from unidelta.data import TaskData
from unidelta.finetune import METHODS
from unidelta.projections import KINDS
from unidelta.stages.approximation import approximate
from unidelta.stages.maps import up_map
from unidelta.stages.optimization import checked_subspaces, optimize
from unidelta.stages.scoring import score_mapped
from unidelta.stages.workbench import Run, asked, compute, one_seed, progress, save
from unidelta.store import Artifact


def transfer(run: Run, train: Sequence[str], tasks: Sequence[str], kinds: Sequence[str] = KINDS,
             seeds: Sequence[int] = (0,), subspaces: dict[int, Artifact] | None = None) -> dict[tuple, Artifact]:
    """Stage 3, transfer of subspace solutions: theta_{i, s->t} = theta_init + Proj_up_t(I*_{i,s}), s source, t target.

    tasks: unseen tasks. subspaces: by seed; those of `approximate` unless given.

    Returns (task, seed) -> artifact. Metrics, as source -> target -> value: `test`, `dev`, and `chosen`, the indices
    [checkpoint, learning rate] of the vector used. For every pair this is the source vector, over checkpoints and
    learning rates, that does best on dev after transfer (section 5.1). The score of a delta to itself is E_sub again.
    Raises ValueError as `asked` does, or if a seed has no subspace among those given.
    """
    asked(run, tasks, seeds, kinds, METHODS if subspaces else KINDS)
    subspaces = checked_subspaces(subspaces, seeds) or approximate(run, train, seeds)
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
        for task, seed in progress("transfer", sorted(keys, key=lambda key: key[1])):
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
