"""Profiles: which backbone, data, sizes and numbers of steps. One word changes them all; the code stays the same.

`embedded` runs in minutes on two cores. `mini` is for real rows of a mirror, with the embedded backbone or a small one
of one's own. `paper` has the paper's data and, where it gives them, its values; else those of the released code, whose
backbone it has, or a guess (book/fidelity.md).
"""

import math
import os
from dataclasses import dataclass, field, fields, replace

from unidelta import checks

MULTI = {"original_steps": 20000, "original_prefix_steps": 20000, "original_learnt": 0.0,
         "y": 100, "ratio": 10.0,      # as in the released multi-task script
         "approximate_steps": 300000,  # one epoch over 20,000 rows of each of 60 tasks
         "approximate_every": 1000, "approximate_draws": 4, "approximate_batch": 1, "approximate_lr": 1e-4,
         "validation_rows": 240, "optimize_steps": 5000, "optimize_every": 500, "shared_optimize_every": 500,
         "shared_steps": 100000, "shared_every": 1000, "shared_draws": 8, "shared_batch": 1, "fastfood_batch": 1}


@dataclass(frozen=True)
class Profile:
    """All settings of a run. Defaults are those of profile `paper`; a small profile names what it does otherwise."""

    name: str
    backbone: str                       # "embedded", a local folder, or a hub id
    source: str                         # "embedded", "mirror" or "hub"
    mirror: str | None = None           # folder of the mirror; None: the environment variable UNIDELTA_MIRROR
    dtype: str = "float32"
    device: str = "auto"
    max_length: int = 512               # most tokens of an input
    caps: dict = field(default_factory=lambda: {"train": None, "dev": 1000, "test": None})  # rows kept per split
    # rows on which all tasks but the setting's training tasks are reported; or "spare": the dev rows that the cap
    # leaves over. These select nothing, so that settings can be chosen by them
    report_on: str = "test"

    # deltas: equal numbers of parameters (appendix A.2)
    adapter: dict = field(default_factory=lambda: {"bottleneck": 12})
    lora: dict = field(default_factory=lambda: {"rank": 10, "scale": 1.6})
    prefix: dict = field(default_factory=lambda: {"length": 120, "hidden": 24, "reading": "released"})
    init_seed: int = 42                 # of the fixed random initialisation from which all solutions are measured

    # stage `original`: each delta in its own space
    original_steps: int = 20000
    original_every: int = 1000          # steps between validations
    original_batch: int = 16
    original_lr: float = 5e-4
    original_prefix_steps: int = 20000  # the prefix is the slowest to train
    original_prefix_lr: float = 5e-4
    finetune_steps: int = 20000         # full fine-tuning (section 5.3): theta is the backbone itself
    finetune_lr: float = 1e-4           # the paper does not give it
    patience: int = 0                   # a solution is final after so many validations without gain; 0: never
    original_learnt: float = 0.0        # these count once dev is above guessing by this much; 0: from the start

    # stage `approximate` (appendix A.2)
    y: int = 4
    variant: str = "paper"              # reconstruction term: "paper" or "released"
    ratio: float | None = None          # its weight; None: the variant's own
    approximate_steps: int = 100000
    approximate_every: int = 1000
    approximate_batch: int = 8          # rows per draw of (alpha, beta)
    approximate_draws: int = 1          # draws of (alpha, beta) per step
    approximate_lr: float = 5e-5
    approximate_spread: float = 0.0     # standard deviation of noise added to every I_{alpha;beta}; the paper has none
    validation_rows: int | None = None  # dev rows of each training task that stage 1 scores; None: all of them

    # stage `optimize` (appendix A.2)
    optimize_steps: int = 5000
    optimize_every: int = 500
    optimize_batch: int = 8
    optimize_lrs: tuple = (1e-2, 5e-2)
    optimize_spread: float = 0.0        # standard deviation of noise added to I at every step; the paper has none
    # where I starts: "random", from N(0, 0.02²), or "train", at the mean of the training tasks' vectors of that delta
    optimize_init: str = "random"

    # the simplified pipeline (appendices A.3 to A.5). Where A.5, which includes fine-tuning, differs from A.4, the
    # `fastfood_` fields apply
    shared_steps: int = 100000
    shared_every: int = 1000
    shared_batch: int = 16              # rows per draw
    shared_draws: int = 1               # draws of a training task per step
    shared_lr_I: float = 5e-5           # the shared intrinsic vector
    shared_lr_up: float = 1e-4          # the deltas' up-projections
    shared_optimize_every: int = 500
    shared_optimize_batch: int = 16
    shared_optimize_lrs: tuple = (5e-2, 1e-2, 5e-3, 1e-3)
    fastfood: str = "exact"             # or "released": the authors' gradient and normaliser
    fastfood_lr_G: float = 1e-4
    fastfood_steps: int = 100000
    fastfood_batch: int = 8
    fastfood_optimize_every: int = 100
    fastfood_optimize_batch: int = 8
    fastfood_optimize_lrs: tuple = (1e-1, 5e-2, 1e-2, 5e-3, 1e-3, 5e-4, 1e-4)

    # the multi-task setting: `setting="multi"` replaces fields above by those of `multi` (appendix A.2; for the
    # simplified pipeline, A.4). There every row of a batch is a draw of its own, with its own task and solution
    setting: str = "single"             # or "multi"
    multi: dict = field(default_factory=lambda: MULTI)

    # training steps through a compiled graph: the same except for rounding, but every kind of stack takes tens of
    # seconds to compile
    compiled: bool = False
    stack: int = 48                     # most solutions trained in one forward pass; fewer if memory is short
    cap: int | None = None              # most steps of every stage, set by `steps` of `get`

    def sizes(self, kind: str) -> dict:
        """Sizes of one delta, as `deltas.make` takes them; empty for `finetune`. Raises ValueError for other kinds."""
        sizes = {"adapter": self.adapter, "lora": self.lora, "prefix": self.prefix, "finetune": {}}
        checks.known(kind, sizes, "unknown delta")
        return sizes[kind]

    def original(self, kind: str) -> tuple[float, int]:
        """Learning rate and number of steps of one method in its own space."""
        of = {"prefix": (self.original_prefix_lr, self.original_prefix_steps),
              "finetune": (self.finetune_lr, self.finetune_steps)}
        return of.get(kind, (self.original_lr, self.original_steps))


_SMALL = dict(
    adapter={"bottleneck": 6}, lora={"rank": 5, "scale": 1.6},
    prefix={"length": 20, "hidden": 8, "reading": "released", "init_std": 1.0}, max_length=256,
    original_steps=500, original_every=50, original_batch=8, original_lr=1e-2,
    original_prefix_steps=1200, original_prefix_lr=1e-2, patience=5,
    variant="released", approximate_steps=50, approximate_every=25, approximate_lr=5e-3,
    optimize_steps=60, optimize_every=6, optimize_lrs=(1e-2, 5e-2, 2e-1), stack=12,
    finetune_steps=200, finetune_lr=1e-3,
    shared_steps=400, shared_every=100, shared_lr_I=5e-3, shared_lr_up=5e-3,
    shared_optimize_every=6, shared_optimize_batch=8, shared_optimize_lrs=(2e-1, 5e-2, 1e-2),
    fastfood_steps=900, fastfood_lr_G=5e-2, fastfood_batch=16,
    fastfood_optimize_every=6, fastfood_optimize_lrs=(2e-1, 5e-2, 1e-2, 5e-3),
    multi=MULTI | {"original_steps": 1500, "original_prefix_steps": 4000, "original_learnt": 0.15, "ratio": 0.1,
                   "approximate_steps": 400, "approximate_every": 200, "approximate_draws": 48, "approximate_lr": 2e-3,
                   "validation_rows": 40, "optimize_steps": 180, "optimize_every": 18, "shared_optimize_every": 18,
                   "shared_steps": 400, "shared_every": 200},
)

CHOICES = {"source": ("embedded", "mirror", "hub"), "variant": ("paper", "released"), "dtype": ("float32", "bfloat16"),
           "optimize_init": ("random", "train"), "fastfood": ("exact", "released"), "setting": ("single", "multi"),
           "report_on": ("test", "spare")}
PARTS = ("train", "dev", "test")
SETTINGS = {f.name for f in fields(Profile)} - {"name", "cap", "multi"} | {"steps"}  # what `get` takes
MAY_BE_ZERO = ("init_seed", "patience", "original_learnt", "ratio", "approximate_spread", "optimize_spread")

PROFILES = {
    "embedded": Profile("embedded", backbone="embedded", source="embedded",
                        caps={"train": None, "dev": 100, "test": None}, **_SMALL),
    "mini": Profile("mini", backbone="embedded", source="mirror",
                    caps={"train": 2000, "dev": 100, "test": 300}, **_SMALL | {"max_length": 512}),
    "paper": Profile("paper", backbone="google/t5-base-lm-adapt", source="hub"),
}


def get(name: str = "embedded", steps: int | None = None, **overrides) -> Profile:
    """Return the profile of that name, with some of its fields replaced: sizes of a delta and caps entry by entry.

    A value of None keeps the profile's own or, with setting="multi", the multi-task setting's. Fields that `multi`
    holds are replaced by their own names. steps: at most so many training steps in every stage and, unless `caps` is
    given, few rows to score: for a first look, whose results stand for no profile.
    Raises ValueError for an unknown profile or field, for a value of another type than the profile's own, and for one
    that is not allowed.
    """
    checks.known(name, PROFILES, "unknown profile")
    for key in overrides:
        checks.known(key, sorted(SETTINGS), "unknown setting")
    given = {k: _checked(PROFILES[name], k, v) for k, v in overrides.items() if v is not None}
    profile = replace(PROFILES[name], **given)
    if profile.setting == "multi":
        profile = replace(profile, **profile.multi | given)
    return profile if steps is None else _capped(profile, steps, own_caps="caps" in given)


def _checked(profile: Profile, key: str, value):
    """`value` as `profile` holds its setting `key`: a list as a tuple, numbers as floats where its own are floats.

    Raises ValueError if the setting does not allow this value.
    """
    own = getattr(profile, key)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    kind = {"mirror": str, "ratio": float, "validation_rows": int}.get(key) or type(own)  # their own value may be None
    if kind is tuple and isinstance(value, (list, int, float)):
        value = tuple(value) if isinstance(value, list) else (value,)
    kinds = (int, float) if kind is float else kind
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
        like = "" if own is None else f", like {own!r}"
        raise ValueError(f"{key}={value!r} must be of type {kind.__name__}{like}")
    if kind in (int, float, tuple):
        zero = key in MAY_BE_ZERO
        numbers = value if kind is tuple else [value]
        if not numbers or not all(_allowed(n, zero) for n in numbers):
            least = "at least zero" if zero else "above zero"
            raise ValueError(f"{key}={value!r} is not allowed: numbers must be {least} and finite")
    if key == "caps":
        for part, n in value.items():
            if part not in PARTS or n is not None and (type(n) is not int or n < 1):
                raise ValueError(f"caps: {part}={n!r} is not allowed; "
                                 f"allowed: {', '.join(PARTS)}, each a number from 1, or None")
    if kind is dict:
        value = own | value  # what is not named stays as it is
    if key in ("lora", "prefix"):
        value = {k: float(v) if k in ("scale", "init_std") and type(v) is int else v for k, v in value.items()}
    if key in CHOICES and value not in CHOICES[key]:
        raise ValueError(f"{key}={value!r} is not allowed; allowed: {', '.join(CHOICES[key])}")
    # 10 and 10.0 must be one setting: artifacts are named by it
    if kind is float:
        return float(value)
    return tuple(map(float, value)) if kind is tuple else value


def _capped(profile: Profile, steps: int, own_caps: bool) -> Profile:
    """The profile with at most `steps` steps in every stage, and few rows to score unless it has caps of its own.

    Raises ValueError unless `steps` is a whole number from 1.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps={steps!r} must be a whole number from 1")
    capped = {f.name: min(steps, getattr(profile, f.name)) for f in fields(Profile)
              if f.name.endswith(("_steps", "_every"))}
    profile = replace(profile, cap=steps, **capped)
    if own_caps:
        return profile
    rows = 4 * steps  # scoring must not outweigh so short a training: at full size it would take hours
    few = {part: min(rows, profile.caps[part] or rows) for part in ("dev", "test")}
    return replace(profile, caps=profile.caps | few)


def _allowed(n, zero: bool) -> bool:
    """Whether `n` is a finite number above zero or, if `zero`, zero itself."""
    number = isinstance(n, (int, float)) and not isinstance(n, bool)
    return number and (0 < n < math.inf or n == 0 and zero)
