"""Check the cost model: one rate, measured on a step of the bare network, predicts steps of other kinds and shapes."""

import statistics

import measure
import resources
import shapes
import steps
import torch

from unidelta import cost, memory, profiles
from unidelta.projections import KINDS

ANSWER = 4


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
    return {"shape": shape, "rate_from": first, "flops_per_second": measure.spread(rates), "steps": lines,
            "activations_measured_over_counted": counted}
