"""The controls the paper lacks: how much of a recovered share is there without any tuning in a trained subspace.

For an unseen task, beside E_ori and E_sub: the untuned backbone; chance and majority; the training task's own solution applied as it
is; the training task's intrinsic vectors (each delta's own, and their mean) mapped up and applied as they are. The random
up-projection, which does tune, is `stages.optimize(..., up="random")`.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

import torch

from unidelta import tasks as registry
from unidelta.data import TaskData
from unidelta.evaluation import scores
from unidelta.projections import KINDS
from unidelta.stages import approximate, original
from unidelta.store import Artifact
from unidelta.workbench import Run, compute, save, score_stack


def answers_open(run: Run, task: str, seed: int) -> list[list[str]]:
    """What can be answered in each test row: the task's label words, or the row's own options (A), (B), ...; empty lists elsewhere."""
    words = registry.get(task).labels
    p = run.profile
    inputs = registry.load(task, source=p.source, mirror=p.mirror, seed=seed, caps=p.caps)["test"]["input"]
    return [words or [o.strip() for o in re.split(r"\([A-H1-8]\) ", text)[1:]] for text in inputs]


def chance(run: Run, data: TaskData, seed: int, draws: int = 100) -> float:
    """Expected metric of answering at random among what can be answered: the mean of `draws` seeded guesses over the test rows."""
    rng, options = random.Random(f"chance/{data.task}/{seed}"), answers_open(run, data.task, seed)
    guesses = ([rng.choice(o) if o else "" for o in options] for _ in range(draws))
    return sum(registry.score(data.task, guess, data.test.targets) for guess in guesses) / draws


def majority(data: TaskData) -> float:
    """Metric of always giving the most frequent training answer."""
    (word, _), = Counter(t[0] for t in data.train.targets).most_common(1)
    return registry.score(data.task, [word] * len(data.test), data.test.targets)


def controls(run: Run, train: Sequence[str], tasks: Sequence[str], seeds: Sequence[int] = (0,)) -> dict[tuple, Artifact]:
    """Test scores without tuning: (task, seed) -> artifact with metrics `untuned`, `chance`, `majority` (numbers) and `train_solution`,
    `own_vector`, `mean_vector` (by delta). With several training tasks, the one that does best on the unseen task's dev is taken."""
    solutions, subspaces = original(run, train, seeds=seeds), approximate(run, train, seeds)
    wanted = {(task, seed): (f"{task}-s{seed}", run.config("controls", task=task, seed=seed, data=run.data(task, seed).fingerprint,
                                                         subspace=subspaces[seed].id)) for task in tasks for seed in seeds}

    def work(keys):
        for task, seed in keys:
            mine, saved = run.data(task, seed), subspaces[seed].tensors()
            metrics = {"untuned": scores(run.backbone, [], [mine], "test")[0], "chance": chance(run, mine, seed), "majority": majority(mine)}
            metrics |= {"train_solution": {}, "own_vector": {}, "mean_vector": {}}
            centre = sum(saved[f"I.{k}"] for k in KINDS) / len(KINDS)
            for kind in KINDS:
                delta, start = run.delta(kind), run.start(kind)
                candidates = {
                    "train_solution": torch.stack([solutions[t, kind, seed].tensors()["theta"] for t in train]).to(start),
                    "own_vector": start + (saved[f"I.{kind}"] @ saved[f"up.{kind}"].T).to(start),
                    "mean_vector": start + (centre @ saved[f"up.{kind}"].T).to(start),
                }
                for name, theta in candidates.items():
                    dev = score_stack(run, delta, theta, [mine] * len(theta), "dev") if len(theta) > 1 else [0.0]
                    best = dev.index(max(dev))
                    metrics[name][kind] = score_stack(run, delta, theta[best:best + 1], [mine], "test")[0]
            save(run, "controls", wanted[task, seed], metrics, {})

    return compute(run, "controls", wanted, work)
