"""How everything here is timed: variants of one computation, interleaved in one process and repeated.

They are reported as ratios within a repeat.
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from unidelta import files, provenance

FOLDER = Path(__file__).resolve().parents[1] / "data" / "benchmarks"
Variants = dict[str, Callable[[], Sequence[Tensor]]]


def agree(variants: Variants, rtol: float = 1e-3, atol: float = 1e-4) -> None:
    """Check that all variants return the same tensors, except for rounding. The one call of each also warms it up.

    Raises AssertionError that names a variant which differs from the first one.
    """
    found = {name: [torch.as_tensor(t).detach().float().cpu() for t in variant()] for name, variant in variants.items()}
    first = next(iter(found))
    for name, tensors in found.items():
        for ours, theirs in zip(tensors, found[first], strict=True):
            if not torch.allclose(ours, theirs, rtol=rtol, atol=atol):
                raise AssertionError(f"{name} and {first} differ by {float((ours - theirs).abs().max()):.2e}")


def synchronise() -> None:
    """Wait for the GPU, where there is one: kernels are only queued when a call returns."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(variants: Variants, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of every variant in every repeat.

    The variants take turns, and every repeat begins with another one, so that none always has the quiet moments.
    """
    names, spent = list(variants), {name: [] for name in variants}
    gc.collect()
    for r in range(repeats):
        for name in names[r % len(names):] + names[:r % len(names)]:
            synchronise()
            began = time.perf_counter()
            variants[name]()
            synchronise()
            spent[name].append(time.perf_counter() - began)
    return spent


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, quartiles and number of values."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {"median": middle, "low": low, "high": high, "n": len(values)}


def ratios(spent: dict[str, list[float]], over: str) -> dict[str, dict[str, float]]:
    """Return, for every other variant, the spread of its time divided by that of `over`, repeat by repeat."""
    return {name: spread([a / b for a, b in zip(each, spent[over], strict=True)])
            for name, each in spent.items() if name != over}


def line(spent: dict[str, list[float]], over: str = "ours") -> dict:
    """Return what is stored of the times of a few variants: {"ratio": as of `ratios`; "seconds": variant -> median}."""
    return {"ratio": ratios(spent, over), "seconds": {name: statistics.median(each) for name, each in spent.items()}}


def compare(variants: Variants, repeats: int, over: str = "ours", same: bool = True) -> dict:
    """Check that the variants agree (if `same`), time them, and take ratios to `over`.

    Returns {"ratio": variant -> median, low, high, n; "seconds": variant -> median}.
    """
    if same:
        agree(variants)
    else:
        for variant in variants.values():
            variant()
    return line(seconds(variants, repeats), over)


def hot(variant: Callable, top: int = 8) -> list[dict]:
    """Return where the time of a call goes, by the torch profiler: its `top` operators, the largest first.

    Each has its name, its number of calls and its percentage of all operators' own time.
    """
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    with profile(activities=activities) as seen:
        variant()
        synchronise()
    own = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    rows = sorted(seen.key_averages(), key=lambda e: -getattr(e, own))
    total = sum(getattr(e, own) for e in rows)
    return [{"operator": e.key, "calls": e.count, "percent": 100 * getattr(e, own) / total} for e in rows[:top]]


def prepare(folder: Path, parser: argparse.ArgumentParser) -> None:
    """Make the folder of the results before anything is timed; where it cannot be, end in one line."""
    try:
        if folder == Path():
            raise OSError(0, "it is the present folder")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {folder} cannot be used ({error.strerror}); allowed: a folder for the results")


def save(name: str, results: dict, began: float, folder: Path = FOLDER) -> Path:
    """Write `results` to `folder`/`name`.json, with the machine, versions, threads, commit and seconds since `began`.

    began: a time of time.monotonic.
    """
    file = folder / f"{name}.json"
    made = provenance.current() | {"duration": time.monotonic() - began}
    made["device"] = made["gpu"] or "CPU"
    files.write(file, json.dumps({"made": made, **results}, indent=1) + "\n")
    return file
