"""Every measurement of the chapter on speed: `make bench`, or `python benchmarks/suite.py [part ...]`.

Results go to data/benchmarks/, one file per part. All run on the embedded backbone, with its profile's sizes and the
stand-in rows. `make bench` uses one thread unless OMP_NUM_THREADS says otherwise. For a GPU there is `--device cuda`:
give it an `--out` of its own, a folder in data/benchmarks, which the chapter then shows with `-p results`. The whole
book is timed apart, by `python benchmarks/book.py`.
"""
from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import measure
import resources
import shapes
import steps
import torch
import transform

from unidelta import backbone, data, files, profiles
from unidelta.projections import KINDS
from unidelta.sources import embedded

TASK, STACK = "rotten_tomatoes", 12  # the book's own example, and the embedded profile's stack


@dataclass
class Setting:
    """What the parts share.

    repeats: of every timing. small: the smallest sizes that still go through everything, for the tests.
    """

    name: str = "embedded"
    repeats: int = 5
    small: bool = False
    device: str = "cpu"

    @cached_property
    def backbone(self):
        return backbone.load(self.name, device=self.device)

    @cached_property
    def deltas(self) -> dict:
        return steps.made_for(self.backbone, {k: profiles.PROFILES["embedded"].sizes(k) for k in KINDS})

    @cached_property
    def folder(self) -> tempfile.TemporaryDirectory:
        """A folder for the rows as tokens, which is removed with the setting."""
        return tempfile.TemporaryDirectory(prefix="unidelta-bench-")

    def data(self, task: str) -> data.TaskData:
        p = profiles.PROFILES["embedded"]
        return data.load(self.backbone, task, "embedded", None, 0, {"train": 200, "dev": 100, "test": 100},
                         p.max_length, Path(self.folder.name))

    def several(self, n: int) -> list[data.TaskData]:
        """Return n of the stand-in tasks, in a random order that is always the same."""
        return [self.data(t) for t in random.Random(0).sample(embedded.names(), n)]


def recipe(s: Setting) -> dict:
    """(a) Subspace optimisation: a step of six solutions (two learning rates, three seeds), and validation of two."""
    k, rows = (2, 4) if s.small else (6, 16)
    lines = {f"training step, {kind}": measure.compare(
                 steps.optimisation(s.backbone, delta, [s.data(TASK)] * k, 4, 8), min(s.repeats, 5))
             for kind, delta in s.deltas.items()}
    scoring = steps.validation(s.backbone, s.deltas, [s.data(TASK)] * (1 if s.small else 2), rows)
    lines["validation with the three deltas"] = measure.compare(scoring, min(s.repeats, 5))
    return {"lines": lines, "solutions": k, "rows": 8, "validation_rows": rows}


def multitask(s: Setting) -> dict:
    """(b) Multi-task approximation, y = 100: a step on one example of each of four tasks; several draws of four."""
    draws, tasks = (1, 2) if s.small else (3, 4)
    chosen = s.several(draws * tasks)
    groups = [chosen[i * tasks:(i + 1) * tasks] for i in range(draws)]
    whole, alone = ([steps.approximation(s.backbone, s.deltas, group, 100, network=network) for group in groups]
                    for network in (True, False))
    for variants in (*whole, *alone):
        measure.agree(variants)

    def over_draws(made, name):
        return lambda: [variants[name]() for variants in made]

    bare = ", without the network"
    spent = measure.seconds({name: over_draws(whole, name) for name in whole[0]}
                            | {name + bare: over_draws(alone, name) for name in ("one by one", "ours")},
                            min(s.repeats, 5))
    network = {name: [a - b for a, b in zip(spent[name], spent[name + bare], strict=True)]
               for name in ("one by one", "ours")}
    share = measure.ratios(spent, "ours")["ours" + bare]
    limit = measure.ratios({"one by one": spent["one by one"], "ours": network["ours"]}, "ours")["one by one"]
    lengths = [[len(split.inputs[r]) for split, rows in steps.pieces(group, 1) for r in rows] for group in groups]
    filled = sum(map(sum, lengths)) / sum(len(each) * max(each) for each in lengths)
    return {"lines": {"training step": measure.line({name: spent[name] for name in whole[0]})},
            "share_without_network": share, "network_alone": measure.ratios(network, "ours")["one by one"],
            "if_only_the_network_took_time": limit, "tokens_not_padding": filled,
            "tasks": [d.task for d in chosen], "batch": tasks, "y": 100,
            "profile": {"ours": measure.hot(whole[0]["ours"])}}


def floor(s: Setting) -> dict:
    """(c) A step in the deltas' own space against the bare network: 12 solutions (embedded), one (T5-base's shape)."""
    lines, hot = {}, {}
    batch = steps.collate(steps.pieces([s.data(TASK)] * STACK, 8), s.backbone.device)
    for kind, delta in s.deltas.items():
        variants = steps.floor(s.backbone, delta, batch, STACK)
        lines[f"embedded, {kind}"] = measure.compare(variants, 3 * s.repeats, over="floor", same=False)
        hot[f"embedded, {kind}"] = measure.hot(variants["ours"])
    base = shapes.random_t5("tiny" if s.small else "base", device=s.device)
    for kind, delta in steps.made_for(base, {k: profiles.PROFILES["paper"].sizes(k) for k in KINDS}).items():
        variants = steps.floor(base, delta, resources.batch_of(base, 2, 64), 1)
        lines[f"T5-base, {kind}"] = measure.compare(variants, min(s.repeats, 5), over="floor", same=False)
        hot[f"T5-base, {kind}"] = measure.hot(variants["ours"])
    return {"lines": lines, "profile": hot, "solutions": STACK}


def stacks(s: Setting) -> dict:
    """(d) K solutions as one stack, or one after another."""
    lines = {}
    for kind, delta in s.deltas.items():
        for k in (1, 2) if s.small else (1, 3, 12, 48):
            lines[f"{kind}, K = {k}"] = measure.compare(
                steps.stacked(s.backbone, delta, [s.data(TASK)] * k, 8), s.repeats) | {"delta": kind, "K": k}
    return {"lines": lines}


def against_peft(s: Setting) -> dict:
    """(e) LoRA: peft's in a plain loop, one and 12 solutions."""
    return {"lines": {f"K = {k}": measure.compare(
                          steps.peft(s.backbone, s.deltas["lora"], [s.data(TASK)] * k, 8), s.repeats)
                      for k in ((1, 2) if s.small else (1, STACK))}}


def hadamard(s: Setting) -> dict:
    """(f) The transform: 2^10 to 2^24 numbers."""
    lines = {}
    for e in (4, 10) if s.small else range(10, 25, 2):
        measure.agree(transform.transforms(2**e, s.device), atol=1e-4 * 2**(e / 2))
        variants = transform.transforms(2**e, s.device) | transform.copy(2**e, s.device)
        often = {name: many(call, 1 if s.small else max(1, 2**(20 - e))) for name, call in variants.items()}
        lines[f"2^{e}"] = measure.compare(often, s.repeats, same=False) | {"log2": e}
    return {"lines": lines, "calls": "2^(20 - log2 P) for sizes below 2^20, else one"}


def many(call: Callable, times: int) -> Callable:
    """Repeat the call `times` times, so often that the clock can resolve it."""
    return lambda: [call() for _ in range(times)]


def landscape(s: Setting) -> dict:
    """(g) Twelve points of a landscape (the paper's figure has 21 x 21) on 100 test rows; on 20 rows also padded."""
    count, rows, few = (3, 4, 2) if s.small else (STACK, 100, 20)
    lines, hot = {}, {}
    for kind, delta in s.deltas.items():
        variants = steps.points(s.backbone, delta, s.data(TASK), count, rows, STACK)
        unpadded = {name: variants[name] for name in ("point by point", "ours")}
        lines[f"{kind}, {rows} rows"] = measure.compare(unpadded, min(s.repeats, 5))
        hot[f"{kind}, {rows} rows"] = measure.hot(variants["ours"])
    lines[f"lora, {few} rows"] = measure.compare(
        steps.points(s.backbone, s.deltas["lora"], s.data(TASK), count, few, STACK), min(s.repeats, 5))
    return {"lines": lines, "profile": hot, "points": count}


def scoring(s: Setting) -> dict:
    """One pass over the right answers, or decoding: label words (Rotten Tomatoes), options (DREAM); K = 1 and 12."""
    rows = 4 if s.small else 100
    return {"lines": {f"{task}, K = {k}": measure.compare(
                          steps.answers(s.backbone, s.deltas["lora"], s.data(task), k, rows), s.repeats)
                      for task in (TASK, "dream") for k in ((1, 2) if s.small else (1, STACK))}, "rows": rows}


def compiling(s: Setting) -> dict:
    """Training steps as they are over compiled ones, what compiling takes, and after how many steps it has paid."""
    sizes = (1,) if s.small else (1, STACK)
    kinds = list(s.deltas)[:1] if s.small else list(s.deltas)
    batch = {k: steps.collate(steps.pieces([s.data(TASK)] * k, 8), s.backbone.device) for k in sizes}
    makes = {f"embedded, {kind}, K = {k}": lambda how, d=s.deltas[kind], k=k: steps.training(
                 s.backbone, d, batch[k], k, how=how)
             for kind in kinds for k in sizes}
    if not s.small:
        base = shapes.random_t5(device=s.device)
        lora = steps.made_for(base, {k: profiles.PROFILES["paper"].sizes(k) for k in KINDS})["lora"]
        rows = resources.batch_of(base, 2, 64)
        makes |= {"embedded, approximation of four tasks": lambda how: steps.approximation(
                      s.backbone, s.deltas, s.several(4), 100, how=how)["ours"],
                  "T5-base, lora, K = 1": lambda how: steps.training(base, lora, rows, 1, how=how)}
    lines = {}
    for name, make in makes.items():
        with torch.compiler.config.patch(force_disable_caches=True):  # do not reuse what an earlier run has compiled
            first = measure.seconds({"compiled": steps.compiling(make)["compiled"]}, 1)["compiled"][0]
        found = measure.compare(steps.compiling(make), 3 * s.repeats, over="compiled")
        saved = found["seconds"]["as it is"] - found["seconds"]["compiled"]
        lines[name] = found | {"compiled_in": first, "paid_after": first / saved if saved > 0 else None}
    return {"lines": lines}


def throughput(s: Setting) -> dict:
    """(h) Tokens a second and peak memory."""
    sizes = dict(lengths=(8,), solutions=(1,), dimensions=(4,), counts=(1, 2)) if s.small else {}
    return {"measurements": resources.grid(s.backbone, s.deltas, s.several(2 if s.small else 48), min(s.repeats, 3),
                                           **sizes)}


def cost(s: Setting) -> dict:
    """The cost model against real steps of T5-base's shape on this machine."""
    import check_cost
    return check_cost.check("tiny" if s.small else "base", min(s.repeats, 3), device=s.device)


PARTS = {f.__name__: f for f in (recipe, multitask, floor, stacks, against_peft, hadamard, landscape, scoring,
                                 compiling, throughput, cost)}


def in_turn(parts: list[str], given: argparse.Namespace) -> int:
    """Run each part in a process of its own, so that none has to live with the memory that another leaves behind.

    The results reach `given.out` together, also when a part fails: each of them records whether the working tree was
    clean, and the results of an earlier part would make it otherwise. Returns 1 if a part fails; later ones do not run.
    """
    options = ["--repeats", str(given.repeats), "--device", given.device, *["--small"] * given.small]
    with tempfile.TemporaryDirectory(prefix="unidelta-bench-") as folder:
        try:
            for part in parts:
                command = [sys.executable, __file__, part, *options, "--out", folder]
                if status := subprocess.run(command, check=False).returncode:
                    print(f"{part} failed with exit status {status}", file=sys.stderr)
                    return 1
        finally:
            for file in Path(folder).glob("*.json"):
                files.write(given.out / file.name, file.read_text(encoding="utf-8"))
            print(f"results: {given.out}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"all, or some of {', '.join(PARTS)}")
    parser.add_argument("--repeats", type=int, default=Setting.repeats, help="repeats of every timing")
    parser.add_argument("--out", type=Path, default=measure.FOLDER, help="folder of the results")
    parser.add_argument("--small", action="store_true",
                        help="use the smallest sizes, only to check that everything runs")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    given = parser.parse_args(arguments)
    if wrong := [part for part in given.parts if part not in PARTS]:
        parser.error(f"unknown part {wrong[0]!r}; allowed: {', '.join(PARTS)}")
    if given.repeats < 1:
        parser.error(f"--repeats {given.repeats} is not allowed; allowed: a whole number from 1")
    try:
        setting = Setting(repeats=given.repeats, small=given.small, device=str(backbone.device_of(given.device)))
    except ValueError as error:
        parser.error(str(error))
    parts = given.parts or list(PARTS)
    if "throughput" in parts and not resources.measurable(torch.device(setting.device)):
        parser.error("throughput measures peak memory, on a CPU with Linux alone; "
                     f"allowed: {', '.join(part for part in PARTS if part != 'throughput')}")
    measure.prepare(given.out, parser)
    if len(parts) > 1:
        return in_turn(parts, given)
    began = time.monotonic()
    [part] = parts
    measure.save(part, {"what": PARTS[part].__doc__} | PARTS[part](setting), began, given.out)
    print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
