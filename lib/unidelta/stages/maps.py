"""From the subspace to a method's own space by a trained or random up-projection, and where a search in it starts.

The random up-projection is a control. A delta's has the same scale as the trained one. Fastfood's is as it is drawn,
which with the normaliser as defined is the same scale, too; with the released one, a trained G may have grown.
"""

import zlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from unidelta import checks
from unidelta.fastfood import Fastfood
from unidelta.projections import random_like
from unidelta.stages.workbench import Run
from unidelta.store import Artifact


def is_trained(up: str) -> bool:
    """Whether `up` is `trained`; False for `random`. Raises ValueError for any other word."""
    checks.known(up, ("trained", "random"), "unknown up-projection")
    return up == "trained"


def up_projection(run: Run, subspace: Artifact, kind: str, up: str) -> Tensor:
    """Proj_up of one delta, (N, y): the subspace's own (`trained`) or, as a control, a random one (`random`).

    The random one's columns have the lengths of the subspace's own. Raises ValueError for another word.
    """
    trained = is_trained(up)
    own = subspace.tensors()[f"up.{kind}"].to(run.backbone.device)
    return own if trained else random_like(own, subspace.config["seed"], kind)


def up_map(run: Run, subspace: Artifact, kind: str, up: str) -> Callable[[Tensor], Tensor]:
    """Proj_up of one method, vectors (K, y) -> offsets (K, N): a matrix for the deltas, Fastfood for `finetune`.

    up: as in `up_projection`.
    """
    if kind != "finetune":
        own = up_projection(run, subspace, kind, up)
        return lambda vectors: vectors @ own.T
    c = subspace.config
    trained = is_trained(up)
    seed = c["seed"] if trained else (c["seed"] + 77) % len(checks.SEEDS)
    fast = Fastfood.start(run.delta(kind).numels, c["y"], [seed], c["fastfood"], run.backbone.device)
    if trained:
        fast.G = subspace.tensors()["G"][None].to(fast.G)
    return lambda vectors: fast.to_delta(vectors[None])[0]


def offsets(run: Run, solutions: dict[tuple, Artifact], train: Sequence[str], kind: str, seed: int) -> Tensor:
    """theta_t - theta_init of every training task's own solution with one delta, (T, N). solutions: of `original`."""
    start = run.start(kind)
    return torch.stack([solutions[task, kind, seed].tensors()["theta"] for task in train]).to(start) - start


def mean_vector(subspace: Artifact, kind: str) -> Tensor:
    """The mean of the training tasks' vectors of one method, (y,), where `optimize_init="train"` starts stage 2."""
    saved = subspace.tensors()
    return saved["I" if "I" in saved else f"I.{kind}"].mean(0)


def random_vector(y: int, task: str, kind: str, seed: int) -> Tensor:
    """A vector from N(0, 0.02²), (y,): where stage 2 starts."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{task}/{kind}/{seed}".encode()))
    return torch.empty(y).normal_(0, 0.02, generator=generator)
