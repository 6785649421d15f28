"""Tokens a second and peak memory of one step, by sequence length, stacked solutions, subspace dimension and tasks."""

import ctypes
import gc
import json
import multiprocessing
import re
import statistics
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
import steps
import torch
from torch.profiler import ProfilerActivity, profile


def batch_of(backbone, rows: int, length: int, answer: int = 4) -> dict:
    """Return a batch of random token numbers without padding: inputs (rows, length), labels (rows, answer)."""
    draw = torch.Generator().manual_seed(0)
    ids, labels = (torch.randint(5, backbone.config.vocab_size, (rows, n), generator=draw).to(backbone.device)
                   for n in (length, answer))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def training(backbone, delta, solutions: int, length: int, batch: int = 8):
    """Return one step of stacked solutions in their own space, and its number of input tokens."""
    return (steps.training(backbone, delta, batch_of(backbone, solutions * batch, length), solutions),
            solutions * batch * length)


def approximation(backbone, made: dict, datas: list, y: int, draws: int = 4):
    """Return one multi-task approximation step on one example of each of `draws` tasks, and its number of input tokens.

    An example counts once for each of the three deltas, at the length of the longest.
    """
    some = datas[:draws]
    step = steps.approximation(backbone, made, some, y)["ours"]
    longest = max(len(split.inputs[r]) for split, rows in steps.pieces(some, 1) for r in rows)
    return step, len(made) * len(some) * longest


PROC = Path("/proc/self")  # where Linux keeps the peak memory of a process


def measurable(device: torch.device) -> bool:
    """Whether peak memory can be measured here: on a GPU always, on a CPU with Linux alone."""
    return device.type == "cuda" or (PROC / "clear_refs").exists()


def forget_peak(device: torch.device) -> None:
    """Restart the peak from what is in use now.

    On a CPU this needs Linux: glibc gives freed memory back, and the kernel resets its mark.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    (PROC / "clear_refs").write_text("5")


def peak(device: torch.device) -> float:
    """Return the peak memory in MiB since `forget_peak` or the process's start.

    On a GPU it is the most that torch held, else the largest resident set. `getrusage` will not do: its mark outlives
    exec, so a process started from a large one would report the large one's peak.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return int(re.search(r"VmHWM:\s+(\d+) kB", (PROC / "status").read_text()).group(1)) / 1024


def held(call, device: torch.device) -> float:
    """Return the most MiB that torch's tensors hold at once while `call()` runs, above what they held before.

    On a CPU these are the allocations that the torch profiler sees. What the C library and the kernels of the products
    keep for themselves is not among them, as it is in `peak`.
    """
    if device.type == "cuda":
        forget_peak(device)
        before = torch.cuda.memory_allocated() / 2**20
        call()
        return peak(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        seen.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted((e for e in events if e["name"] == "[memory]"), key=lambda e: e["ts"])
    return max(accumulate(e["args"]["Bytes"] for e in changes)) / 2**20


def measured(make, device: torch.device, repeats: int) -> dict:
    """Run `make()` -> (step, tokens) and time the step; on a CPU, both in a process of their own.

    Returns {"tokens_per_second": median and quartiles, "seconds": median, "peak_mib": above what the process began
    with, "threads": on a CPU always 1}. Raises RuntimeError if that process fails.
    """
    def taken() -> dict:
        forget_peak(device)
        before = peak(device)
        step, tokens = make()
        step()
        spent = measure.seconds({"step": step}, repeats)["step"]
        return {"tokens_per_second": measure.spread([tokens / s for s in spent]), "seconds": statistics.median(spent),
                "peak_mib": peak(device) - before, "threads": torch.get_num_threads()}

    # torch refuses a GPU in a copy of a process that has used it, and the peak on a GPU can be restarted without a copy
    if device.type == "cuda":
        return taken()
    mine, theirs = multiprocessing.Pipe()

    def child():
        # the parent's thread pool is not copied: a child that waits for it waits forever
        torch.set_num_threads(1)
        theirs.send(taken())

    # a copy of this process: it has the backbone, and a peak of its own
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    theirs.close()
    try:
        return mine.recv()
    except EOFError:
        raise RuntimeError("a measurement failed in its own process; see the traceback above") from None
    finally:
        process.join()


def grid(backbone, made: dict, datas: list, repeats: int, lengths=(32, 128, 512), solutions=(1, 3, 12, 48),
         dimensions=(4, 16, 100), counts=(1, 4, 12, 48)) -> list[dict]:
    """Measure along every axis: lines of `axis` (length, K, y or tasks), `value`, `delta` and what `measured` gives."""
    work = [("length", n, k, lambda d=d, n=n: training(backbone, d, 3, n)) for k, d in made.items() for n in lengths]
    work += [("K", n, k, lambda d=d, n=n: training(backbone, d, n, 32)) for k, d in made.items() for n in solutions]
    work += [("y", n, "all", lambda n=n: approximation(backbone, made, datas[:4], n)) for n in dimensions]
    work += [("tasks", n, "all", lambda n=n: approximation(backbone, made, datas[:n], 100, n))
             for n in counts if n <= len(datas)]
    return [{"axis": axis, "value": value, "delta": kind} | measured(make, backbone.device, repeats)
            for axis, value, kind, make in work]
