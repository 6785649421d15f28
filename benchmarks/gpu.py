"""Full-size timings for a GPU, with random weights of T5-base's shape: `python benchmarks/gpu.py`.

`--shape tiny --device cpu` goes through the same in seconds. Measured are a step's seconds and peak memory, for the
stages with K stacked solutions (some also compiled) and for the multi-task approximation at y = 4 and 100; landscape
points a second; and the Walsh-Hadamard transform against a copy on the device. Medians of the repeats, and ratios
within a repeat, are written to data/benchmarks/gpu.json.
"""

import argparse
import re
import sys
import time
from pathlib import Path

import measure
import numpy as np
import resources
import shapes
import steps
import torch
import transform

from unidelta import compiled, deltas, profiles
from unidelta.backbone import DTYPES, device_of
from unidelta.data import Encoded, TaskData
from unidelta.projections import KINDS

ANSWER, BATCH = 4, 8


def random_task(name: str, config, rows: int, length: int) -> TaskData:
    """Return a task whose three splits are the same rows of random token numbers, all of one length."""
    rng = np.random.default_rng(0)
    inputs, labels = (list(rng.integers(5, config.vocab_size, (rows, n))) for n in (length, ANSWER))
    split = Encoded(inputs, labels, [[""]] * rows)
    return TaskData(name, split, split, split, "random")


def fitted(make, repeats: int, device: torch.device) -> dict:
    """Time a step: median and quartiles of its seconds and peak memory on the card (MiB), or that it does not fit."""
    resources.forget_peak(device)
    try:
        step = make()
        step()
        spent = measure.spread(measure.seconds({"step": step}, repeats)["step"])
    except torch.cuda.OutOfMemoryError:
        return {"fits": False}
    return {"fits": True, "seconds": spent, "peak_mib": resources.peak(device)}


def step_times(t5, made: dict, solutions: list[int], length: int, repeats: int) -> list[dict]:
    """Time a step of each stage: a line per stage, delta and K (or y); `per_solution` is the median seconds over K."""
    lines = []
    for kind, delta in made.items():
        for k in solutions:
            batch = resources.batch_of(t5, k * BATCH, length, ANSWER)
            task = random_task("rotten_tomatoes", t5.config, BATCH, length)
            makes = {"original": lambda d=delta, b=batch, k=k: steps.training(t5, d, b, k),
                     "optimize": lambda d=delta, t=task, k=k: steps.optimisation(t5, d, [t] * k, 4, BATCH)["ours"]}
            if kind == "lora" and k in (min(solutions), max(solutions)):  # compiling takes a while
                makes["optimize, compiled"] = lambda d=delta, t=task, k=k: steps.optimisation(
                    t5, d, [t] * k, 4, BATCH, how=compiled.captured)["ours"]
            for stage, make in makes.items():
                line = {"stage": stage, "delta": kind, "K": k} | fitted(make, repeats, t5.device)
                if line["fits"]:
                    line["per_solution"] = line["seconds"]["median"] / k
                lines.append(line)
    datas = [random_task(f"task-{i}", t5.config, 4, length) for i in range(4)]
    for y in (4, 100):
        found = fitted(lambda y=y: steps.approximation(t5, made, datas, y)["ours"], repeats, t5.device)
        lines.append({"stage": "approximate", "delta": "all", "y": y, "K": 1} | found)
    return lines


def landscape(t5, delta, count: int, rows: int, length: int, repeats: int) -> dict:
    """Measure landscape points a second in one stack, and the time of one point after another relative to it.

    There are `rows` rows and answers of ANSWER tokens.
    """
    theta, ids = steps.stack(t5, delta, count), resources.batch_of(t5, rows, length)["input_ids"]

    @torch.inference_mode()
    def decode(some):
        with deltas.applied(t5.model, [(delta, some)]):
            return t5.model.generate(input_ids=ids.repeat(len(some), 1), max_new_tokens=ANSWER, min_new_tokens=ANSWER,
                                     do_sample=False, num_beams=1)

    spent = {"point by point": lambda: [decode(one[None]) for one in theta], "ours": lambda: decode(theta)}
    for call in spent.values():
        call()
    seconds = measure.seconds(spent, repeats)
    return {"points": count, "rows": rows, "points_per_second": measure.spread([count / s for s in seconds["ours"]]),
            "ratio": measure.ratios(seconds, "ours")}


def transforms(exponents: list[int], device: str, repeats: int) -> list[dict]:
    """Compare the transform of P = 2^log2 numbers with the copy and with the released formulation."""
    def variants(size):
        return transform.transforms(size, device, dense=False) | transform.copy(size, device)
    return [{"log2": e} | measure.compare(variants(2**e), repeats, same=False) for e in exponents]


def whole(text: str) -> list[int]:
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: whole numbers from 1, comma separated")
    return [int(part) for part in text.split(",")]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--shape", choices=shapes.SHAPES, default="base")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--length", type=int, default=128, help="tokens of an input")
    parser.add_argument("--solutions", type=whole, default=whole("1,3,12,48,192"), metavar="K,K,...",
                        help="stacked solutions, whole numbers from 1")
    parser.add_argument("--log2", type=whole, default=list(range(10, 29, 2)), metavar="N,N,...",
                        help="transforms of 2^N numbers, whole numbers from 1")
    parser.add_argument("--out", type=Path, default=measure.FOLDER, help="folder of the result")
    given = parser.parse_args(arguments)
    if min(given.repeats, given.length) < 1:
        parser.error("--repeats and --length must be whole numbers from 1")
    if max(given.log2) > 32:
        parser.error(f"--log2 {max(given.log2)} is not allowed; allowed: whole numbers from 1 to 32")
    try:
        began, device = time.monotonic(), str(device_of(given.device))
    except ValueError as error:
        parser.error(str(error))
    measure.prepare(given.out, parser)
    t5 = shapes.random_t5(given.shape, given.dtype, device)
    made = steps.made_for(t5, {k: profiles.PROFILES["paper"].sizes(k) for k in KINDS})
    results = {"what": "full-size steps on one device, random weights", "shape": given.shape, "dtype": given.dtype,
               "length": given.length, "batch": BATCH,
               "steps": step_times(t5, made, given.solutions, given.length, given.repeats),
               "landscape": landscape(t5, made["lora"], min(12, max(given.solutions)), 8, given.length, given.repeats),
               "transform": transforms(given.log2, device, given.repeats)}
    print(measure.save("gpu", results, began, given.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
