"""Check the cost model: one rate, measured on a step of the bare network, predicts steps of other kinds and shapes."""

import statistics

import measure
import numpy as np
import resources
import shapes
import steps
import torch
import transform

from unidelta import cost, memory, profiles
from unidelta.data import Encoded, TaskData
from unidelta.projections import KINDS

ANSWER = 4
TASKS, LENGTH, DIMENSIONS = 4, 128, (4, 100)  # of the step of stage 1


def saved_bytes(model, step) -> int:
    """Count the bytes of the activations that a call's backward pass needs, with torch's saved-tensor hooks.

    Each storage counts once; the model's weights are left out.
    """
    held, weights = {}, {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage  # kept alive, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(storage.nbytes() for storage in held.values())


def random_task(t5, number: int) -> TaskData:
    """Return a task with one row of random tokens."""
    draw = np.random.default_rng(number)
    inputs, labels = ([draw.integers(5, t5.config.vocab_size, n)] for n in (LENGTH, ANSWER))
    return TaskData(f"task {number}", *3 * [Encoded(inputs, labels, [[""]])], fingerprint="")


def approximation(t5, made: dict, y: int, rate: float, bandwidth: float, repeats: int) -> dict:
    """Measure a step of stage 1 on one row of each of TASKS tasks with three deltas, and what the model says of it.

    rate: FLOP/s of the bare network; bandwidth: bytes/s of a copy. Memory is in GiB, on a CPU above that of a process
    that has the backbone, and apart from it what torch's own tensors hold; the step keeps no best projections.
    """
    datas, rows = [random_task(t5, n) for n in range(TASKS)], TASKS * len(made)

    def make():
        return steps.approximation(t5, made, datas, y)["ours"], rows * LENGTH

    def both():  # its own tensors are made, and a step taken with them
        step, _ = make()
        step()
        step()

    found, held = resources.measured(make, t5.device, repeats), resources.held(both, t5.device)
    keys = max(getattr(delta, "length", 0) for delta in made.values())
    flops = (cost.backbone(t5.config, rows, LENGTH, ANSWER, keys)
             + max(cost.delta(delta, rows, LENGTH, ANSWER) for delta in made.values())
             + sum(cost.projections(delta.numel, y, TASKS, "released") for delta in made.values()))
    traffic = 4 * cost.PASSES * 2 * y * sum(delta.numel for delta in made.values())
    parts = memory.approximation(t5.config, made, y, TASKS, rows, LENGTH, ANSWER)
    counted = sum(parts.values()) - parts["backbone"] - parts["best so far"]
    return {"y": y, "seconds": found["seconds"], "seconds_predicted": flops / rate + traffic / bandwidth,
            "gib": found["peak_mib"] / 1024, "gib_held": held / 1024, "gib_counted": counted}


def check(shape: str, repeats: int, device: str = "cpu", dtype: str = "float32") -> dict:
    """Measure steps and compare them with the cost model: seconds measured, seconds predicted, and their ratio.

    The bytes of activations come as the ratio of measured to counted ones, by input length.
    """
    t5 = shapes.random_t5(shape, dtype, device)
    made = steps.made_for(t5, {k: profiles.PROFILES["paper"].sizes(k) for k in KINDS})
    rate_batch = resources.batch_of(t5, 2, 64, ANSWER)
    calls = {"bare network, 2 rows of 64 tokens": (steps.bare(t5, rate_batch), cost.backbone(t5.config, 2, 64, ANSWER))}
    for kind, delta in made.items():
        for rows, length in ((2, 64), (1, 160)):
            keys = getattr(delta, "length", 0)
            flops = cost.backbone(t5.config, rows, length, ANSWER, keys) + cost.delta(delta, rows, length, ANSWER)
            calls[f"{kind}, {rows} rows of {length} tokens"] = (
                steps.training(t5, delta, resources.batch_of(t5, rows, length, ANSWER), 1), flops)
    first, *others = calls
    for call, _ in calls.values():
        call()
    spent = measure.seconds({name: call for name, (call, _) in calls.items()}, repeats)
    rates = [calls[first][1] / s for s in spent[first]]
    lines = []
    for name in others:
        _, flops = calls[name]
        ratios = [s * rate / flops for s, rate in zip(spent[name], rates, strict=True)]
        lines.append({"step": name, "gflop": flops / 1e9, "measured": statistics.median(spent[name]),
                      "predicted": flops / statistics.median(rates), "ratio": measure.spread(ratios)})
    counted = {}
    for length in (64, 512):
        held = saved_bytes(t5.model, steps.bare(t5, resources.batch_of(t5, 1, length, ANSWER)))
        numbers = memory.activations(t5.config, 1, length, ANSWER)
        counted[length] = held / (t5.model.shared.weight.element_size() * numbers)
    numbers = 2**20 if shape == "tiny" else 2**26
    copied = measure.seconds(transform.copy(numbers, device), repeats)["memory copy"]
    bandwidth = 2 * 4 * numbers / statistics.median(copied)
    spaces = [approximation(t5, made, y, statistics.median(rates), bandwidth, repeats)
              for y in DIMENSIONS if resources.measurable(t5.device)]
    return {"shape": shape, "rate_from": first, "flops_per_second": measure.spread(rates), "steps": lines,
            "activations_measured_over_counted": counted, "bytes_per_second": bandwidth, "approximate": spaces}
