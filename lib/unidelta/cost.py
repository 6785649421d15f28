"""What a run costs: operations counted from the configuration, and hours from these and a card's published figures.

The operations are floating-point operations (FLOP); a multiplication with an addition counts as two. Only matrix
products are counted; the assumed share of a card's peak allows for everything else. The backbone is frozen, so its
backward pass computes gradients of activations only. In training a linear map therefore costs twice its forward pass,
and a product of two activations (attention) three times. What a run holds in memory is counted in `unidelta.memory`.
"""

from dataclasses import dataclass, replace
from math import prod

import pandas as pd

from unidelta import ROOT, profiles, suite, tasks
from unidelta.checks import known
from unidelta.projections import KINDS

CARDS = ROOT / "data" / "gpus.tsv"  # peaks in TFLOP/s (dense, without sparsity), bandwidth in GB/s
SETTINGS = ("single", "multi")
# How often a step reads or writes a number of a projection: 16 times in Adafactor and 4 times for the gradient (counted
# over the operations of a step).
PASSES = 20


def cards() -> pd.DataFrame:
    """GPUs and their published figures: memory_gib, float32 and bfloat16 (TFLOP/s), bandwidth (GB/s).

    A format is empty where the card does not have it.
    """
    return pd.read_csv(CARDS, sep="\t", index_col="card")


def backbone(config, rows: int, length: int, answer: int, keys: int = 0, training: bool = True) -> float:
    """FLOP of one pass over `rows` inputs of `length` tokens with answers of `answer` tokens.

    keys: how many keys a prefix adds to self-attention. Decoding token by token with a cache costs as many products as
    one forward pass (training=False).
    """
    d, deep = config.d_model, config.num_decoder_layers
    inner = config.num_heads * config.d_kv
    attention = 8 * d * inner     # FLOP per token of q, k, v and o
    gated = 6 * d * config.d_ff   # and of the three feed-forward maps
    # the encoder, and the keys and values of cross-attention
    linear = length * (config.num_layers * (attention + gated) + deep * 4 * d * inner)
    linear += answer * (deep * (attention + 4 * d * inner + gated) + 2 * d * config.vocab_size)
    scores = config.num_layers * length * (length + keys) + deep * answer * (answer + keys + length)
    products = 4 * inner * scores
    if training:
        return rows * (2 * linear + 3 * products)
    return rows * (linear + products)


def delta(what, rows: int, length: int, answer: int) -> float:
    """FLOP of one solution of a delta in a training step on `rows` rows.

    Every number of theta is multiplied with every token that passes its site; a prefix's with the prefix tokens only.
    """
    def meets(name):
        if what.kind == "prefix":
            return 0 if name.endswith("embedding") else what.length
        return rows * (length if name.startswith("encoder") or ".cross.v" in name else answer)
    return 6 * sum(prod(shape) * meets(name) for name, shape in what.shapes)


def projections(numel: int, y: int, draws: int = 1, variant: str = "paper") -> float:
    """FLOP of one delta's two projections in a step of `approximate`.

    Projected down are the solutions of the draws, which take no gradient. Projected up are their interpolated vectors
    and, in the variant `released`, also their own vectors.
    """
    return 2 * draws * y * ((5 if variant == "paper" else 8) * numel + 3 * y)


@dataclass(frozen=True)
class Work:
    """One stage: `jobs` runs of `steps` steps over `rows` rows, each with `validations` of `scored` rows.

    maps: how many projections of every delta it trains, two in the main pipeline, only the up-projection in the
    simplified one.
    """

    stage: str
    jobs: int
    steps: int
    rows: int
    validations: int
    scored: int
    maps: int = 0


def plan(setting: str) -> tuple[profiles.Profile, list[Work]]:
    """The `paper` profile in a setting, and the stages of Tables 1 to 4 and 6 to 9 with one seed.

    Fine-tuning (Table 5), landscapes and other dimensions are left out. Raises ValueError for an unknown setting.
    """
    known(setting, SETTINGS, "unknown setting")
    p = profiles.get("paper", setting=setting)
    dev = p.caps["dev"]
    if setting == "single":  # a subspace for each training task
        served = suite.single("hub")
        train, unseen = len(served), sum(map(len, served.values()))
        spaces, scored = train, len(KINDS) * dev
    else:  # one subspace for all of them
        train, unseen = len(tasks.names("multi", "train")), len(tasks.names("multi", "unseen"))
        spaces, scored = 1, len(KINDS) * p.validation_rows * train
    rows = len(KINDS) * p.approximate_batch * p.approximate_draws
    grid = unseen * len(KINDS) * len(p.optimize_lrs)
    checks = p.optimize_steps // p.optimize_every
    subspace = Work("optimize", grid, p.optimize_steps, p.optimize_batch, checks, dev)
    return p, [
        Work("original", (train + unseen) * len(KINDS), p.original_steps, p.original_batch,
             p.original_steps // p.original_every, dev),
        Work("approximate", spaces, p.approximate_steps, rows, p.approximate_steps // p.approximate_every, scored, 2),
        subspace,
        replace(subspace, stage="optimize, random control"),
        # a delta's own vectors were scored when they were found
        Work("transfer", unseen * len(KINDS), 0, 0, (len(KINDS) - 1) * len(p.optimize_lrs) * checks, dev),
        *_simplified(p, spaces, unseen, scored),
    ]


def _simplified(p: profiles.Profile, spaces: int, unseen: int, scored: int) -> list[Work]:
    """The stages of the simplified pipeline (appendix A.4)."""
    rates = len(p.shared_optimize_lrs)
    checks = p.optimize_steps // p.shared_optimize_every
    own = Work("simplified: optimize", unseen * len(KINDS) * rates, p.optimize_steps, p.shared_optimize_batch, checks,
               p.caps["dev"])
    return [
        Work("simplified: shared", spaces, p.shared_steps, len(KINDS) * p.shared_batch * p.shared_draws,
             p.shared_steps // p.shared_every, scored, 1),
        own,
        replace(own, stage="simplified: random control"),
        Work("simplified: transfer", unseen * len(KINDS), 0, 0, (len(KINDS) - 1) * rates * checks, p.caps["dev"]),
    ]


def hours(setting: str, config, made: dict, flops: float, bandwidth: float, length: int = 128,
          answer: int = 4) -> pd.DataFrame:
    """Hours of every stage on a device that achieves `flops` FLOP/s and `bandwidth` bytes/s.

    The columns are jobs, steps (of all jobs), training, scoring and hours. Every pass is counted with the prefix's
    keys, and a training pass also with the most expensive delta. A step of `approximate` is counted in the profile's
    variant, `paper`. A step that trains projections is counted with their memory traffic, Adafactor's included.
    """
    p, works = plan(setting)
    keys = max(getattr(what, "length", 0) for what in made.values())
    numels = [what.numel for what in made.values()]
    lines = []
    for w in works:
        step = (backbone(config, w.rows, length, answer, keys)
                + max(delta(what, w.rows, length, answer) for what in made.values()))
        # an up-projection alone (maps == 1) is a small part of a step
        maps = sum(projections(n, p.y, p.approximate_draws, p.variant) for n in numels) if w.maps == 2 else 0
        traffic = 4 * PASSES * sum(w.maps * n * p.y for n in numels)
        training = w.jobs * w.steps * ((step + maps) / flops + traffic / bandwidth) / 3600
        scoring = (w.jobs * w.validations
                   * backbone(config, w.scored, length, answer, keys, training=False) / flops / 3600)
        lines.append({"stage": w.stage, "jobs": w.jobs, "steps": w.jobs * w.steps,
                      "training": training, "scoring": scoring, "hours": training + scoring})
    return pd.DataFrame(lines).set_index("stage")
