"""The controls the paper lacks: how much of a recovered share is reached without any tuning in a trained subspace.

For an unseen task, besides E_ori and E_sub: the untuned backbone; chance and majority; the training task's own
solution, applied as it is; the training task's intrinsic vectors (each delta's own, and their mean), mapped up and
applied as they are. The random up-projection, which does tune, is `stages.optimize(..., up="random")`.

`lengthened` tunes one number, the length of the training task's solution. `rescaled` asks what is missing where a
transfer fails, and `centroid` what there was to carry over.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unidelta.data import TaskData
from unidelta.projections import KINDS, centre
from unidelta.stages.approximation import approximate
from unidelta.stages.baselines import untouched
from unidelta.stages.maps import offsets, up_map
from unidelta.stages.optimization import optimize
from unidelta.stages.scoring import best_on_dev, score_best, score_mapped, score_stack
from unidelta.stages.solutions import original
from unidelta.stages.workbench import Run, asked, one_seed, scored
from unidelta.store import Artifact

FACTORS = tuple(2 ** (i / 3) for i in range(-3, 4))  # 0.5 to 2


def fitted(dev: Sequence[float]) -> float:
    """The best of FACTORS, given a dev score for each; of equals, the one nearest to 1."""
    by_nearness = sorted(range(len(FACTORS)), key=lambda i: abs(i - FACTORS.index(1.0)))
    return FACTORS[max(by_nearness, key=dev.__getitem__)]  # `max` takes the first of equals


def controls(run: Run, train: Sequence[str], tasks: Sequence[str],
             seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """Test scores without tuning: (task, seed) -> artifact.

    Metrics: `untuned`, `chance` and `majority` (numbers); `train_solution`, `own_vector` and `mean_vector` (by delta).
    With several training tasks, the one that does best on the unseen task's dev is taken. Raises ValueError as `asked`
    does.
    """
    asked(run, tasks, seeds)
    solutions = original(run, train, seeds=seeds)
    subspaces = approximate(run, train, seeds)
    free = untouched(run, tasks, seeds)
    held = one_seed(lambda seed: subspaces[seed].tensors())

    def measure(task, seed):
        mine, saved = run.data(task, seed), held(seed)
        metrics = free[task, seed].metrics | {"train_solution": {}, "own_vector": {}, "mean_vector": {}}
        middle = centre({k: saved[f"I.{k}"] for k in KINDS})
        for kind in KINDS:
            delta, start = run.delta(kind), run.start(kind)
            candidates = {
                "train_solution": torch.stack([solutions[t, kind, seed].tensors()["theta"] for t in train]).to(start),
                "own_vector": start + (saved[f"I.{kind}"] @ saved[f"up.{kind}"].T).to(start),
                "mean_vector": start + (middle @ saved[f"up.{kind}"].T).to(start),
            }
            for name, theta in candidates.items():
                metrics[name][kind] = score_best(run, delta, theta, mine)
        return metrics

    return scored(run, "controls", tasks, seeds, measure, lambda task, seed: {"subspace": subspaces[seed].id})


def length_fitted(run: Run, offsets: dict[str, Tensor], data: TaskData) -> dict[str, dict]:
    """Score theta_init + f offset on dev for every f of FACTORS, and on test with the best f.

    offsets: method -> (T, N); of the T, only the offset that does best on dev as it is (f = 1) is scaled. Metrics, each
    by method: `dev` (one score per factor), `factor` (the best) and `test` (with it).
    """
    metrics: dict[str, dict] = {"dev": {}, "factor": {}, "test": {}}
    for kind, of_tasks in offsets.items():
        delta, start = run.delta(kind), run.start(kind)
        offset = of_tasks[best_on_dev(run, delta, start + of_tasks, data)]
        dev = score_mapped(run, delta, lambda f, offset=offset: f[:, None] * offset, torch.tensor(FACTORS).to(offset),
                           data, "dev")
        factor = fitted(dev)
        metrics["dev"][kind] = dev
        metrics["factor"][kind] = factor
        metrics["test"][kind] = score_stack(run, delta, (start + factor * offset)[None], [data], "test")[0]
    return metrics


def lengthened(run: Run, train: Sequence[str], tasks: Sequence[str],
               seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """Tune one number on the unseen task, where a subspace has y: theta_init + f (theta_train - theta_init).

    How much of what is recovered in a subspace is only more or less of the training task's solution? With several
    training tasks, the one is taken whose solution does best on dev as it is. (task, seed) -> artifact, metrics as of
    `length_fitted`. Raises ValueError as `asked` does.
    """
    asked(run, tasks, seeds)
    solutions = original(run, train, seeds=seeds)
    held = one_seed(lambda seed: {k: offsets(run, solutions, train, k, seed) for k in KINDS})
    return scored(run, "lengthened", tasks, seeds,
                  lambda task, seed: length_fitted(run, held(seed), run.data(task, seed)),
                  lambda task, seed: {"factors": list(FACTORS),
                                      "sources": [solutions[t, k, seed].id for t in train for k in KINDS]})


def rescaled(run: Run, train: Sequence[str], tasks: Sequence[str],
             seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """theta_init + Proj_up_t(f I*_s) for every f of FACTORS, I*_s the vector that does best for its own delta s.

    Where a transfer fails: is it the direction of the vector that does not fit the other delta, or only its length?

    (task, seed) -> artifact. Metrics, as source -> target -> value: `dev` (one score per factor), `factor` (the best on
    dev; among equals, the nearest to 1), `test` (with it) and `plain` (test with the factor 1).
    """
    vectors = optimize(run, train, tasks, seeds=seeds)
    subspaces = approximate(run, train, seeds)
    held = one_seed(lambda seed: {k: up_map(run, subspaces[seed], k, "trained") for k in KINDS})

    def measure(task, seed):
        mine = run.data(task, seed)
        metrics = {name: {k: {} for k in KINDS} for name in ("dev", "factor", "test", "plain")}
        best = {k: vectors[task, k, seed].tensors()["I"].to(run.backbone.device) for k in KINDS}
        for target in KINDS:
            delta, to_offset = run.delta(target), held(seed)[target]
            every = torch.stack([f * best[k] for k in KINDS for f in FACTORS])
            dev = torch.tensor(score_mapped(run, delta, to_offset, every, mine, "dev")).view(len(KINDS), -1).tolist()
            factor = [fitted(each) for each in dev]
            tried = torch.stack([f * best[k] for k, own in zip(KINDS, factor, strict=True) for f in (own, 1.0)])
            test = score_mapped(run, delta, to_offset, tried, mine, "test")
            for i, source in enumerate(KINDS):
                metrics["dev"][source][target] = dev[i]
                metrics["factor"][source][target] = factor[i]
                metrics["test"][source][target] = test[2 * i]
                metrics["plain"][source][target] = test[2 * i + 1]
        return metrics

    return scored(run, "rescaled", tasks, seeds, measure,
                  lambda task, seed: {"factors": list(FACTORS), "sources": [vectors[task, k, seed].id for k in KINDS]})


def centroid(run: Run, train: Sequence[str], seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """What a subspace holds of its own training tasks: theta_init + Proj_up_t(I), I the centroid of a task's vectors.

    The centroid of the three vectors is what stage 1 selects its checkpoint by. Nothing is tuned: what is not learnt
    here, an unseen task cannot find either. (task, seed) -> artifact; metrics `test` by delta.
    """
    subspaces = approximate(run, train, seeds)
    held = one_seed(lambda seed: subspaces[seed].tensors())

    def measure(task, seed):
        saved, at = held(seed), train.index(task)
        middle = centre({k: saved[f"I.{k}"][at] for k in KINDS})
        test = {}
        for kind in KINDS:
            start = run.start(kind)
            theta = start + (saved[f"up.{kind}"] @ middle).to(start)
            test[kind] = score_stack(run, run.delta(kind), theta[None], [run.data(task, seed)], "test")[0]
        return {"test": test}

    return scored(run, "centroid", train, seeds, measure, lambda task, seed: {"subspace": subspaces[seed].id})
