"""What a training step holds in memory, counted from the configuration, and so how many solutions are trained at once.

How many are scored at once is limited by `evaluation.CELLS_AT_ONCE`.
"""

import psutil
import torch

from unidelta.fastfood import trained

SHARE = 0.6  # of the free memory, for what is counted here; the rest is for what is not, and for other processes
COPIES = 6   # of a solution: its start, its present state, its gradient, the best so far, Adafactor's working space (2)


def activations(config, rows: int, length: int, answer: int, keys: int = 0) -> float:
    """How many numbers a frozen network keeps for its backward pass.

    These are the inputs of norms, activations and (fused) attentions. An attention's bias is as large as its scores.
    """
    d, ff, deep = config.d_model, config.d_ff, config.num_decoder_layers
    inner = config.num_heads * config.d_kv
    encoder = config.num_layers * (length * (2 * d + 4 * inner + 3 * ff) + 2 * keys * inner)
    decoder = (deep * (answer * (3 * d + 6 * inner + 3 * ff) + 2 * (length + keys) * inner)
               + 2 * answer * config.vocab_size)
    scores = config.num_layers * length * (length + keys) + deep * answer * (answer + keys + length)
    return rows * (encoder + decoder + config.num_heads * scores)


def solution(config, delta, rows: int, length: int, answer: int, bytes_each: int = 4) -> float:
    """Bytes that one more solution of a delta takes in a stack, with `rows` rows of its own.

    bytes_each: bytes of one number of the activations.
    """
    return (4 * COPIES * delta.numel
            + bytes_each * activations(config, rows, length, answer, getattr(delta, "length", 0)))


def approximation(config, made: dict, y: int, tasks: int, rows: int, length: int, answer: int, bytes_each: int = 4,
                  down: bool = True) -> dict[str, float]:
    """GiB that a step of `approximate` holds, by part.

    rows: those of all deltas together. bytes_each: bytes of one number of the backbone and its activations (a number of
    the projections has four). The embedding and the head are two matrices, as in T5 v1.1. down=False, with tasks=0:
    without solutions and down-projections, as in the simplified pipeline.
    """
    d, ff = config.d_model, config.d_ff
    inner = config.num_heads * config.d_kv
    weights = (2 * config.vocab_size * d + config.num_layers * (4 * d * inner + 3 * d * ff)
               + config.num_decoder_layers * (8 * d * inner + 3 * d * ff))
    numels = [what.numel for what in made.values()]
    keys = max(getattr(what, "length", 0) for what in made.values())
    maps = sum(n * y + down * (n + y) * y for n in numels)
    moments = sum(n + y + down * (n + 3 * y) for n in numels)
    parts = {"backbone": bytes_each * weights,
             "projections": 4 * maps, "their gradients": 4 * maps, "best so far": 4 * maps,
             "Adafactor's moments": 4 * moments, "Adafactor's working space": 8 * max(numels) * y,
             "solutions": 4 * tasks * sum(numels),
             "activations": bytes_each * activations(config, rows, length, answer, keys)}
    return {name: number / 2**30 for name, number in parts.items()}


def subspace(config, made: dict, y: int, tasks: int, rows: int, length: int, answer: int, bytes_each: int = 4,
             down: bool = True) -> float:
    """Bytes that one more subspace takes in a stack: all of `approximation` except the backbone."""
    parts = approximation(config, made, y, tasks, rows, length, answer, bytes_each, down)
    return 2**30 * (sum(parts.values()) - parts["backbone"])


def fastfood(tuned, y: int) -> float:
    """Bytes of one Fastfood up-projection of all weights.

    Counted are G, its gradient, moments, working space and best so far, and the signs and residues.
    """
    return (4 * COPIES + 2) * trained(tuned.numels, y)


def free(device: torch.device) -> int:
    """Bytes available on the device now: of a GPU, including what torch holds there unused; else of the machine."""
    if device.type == "cuda":
        return (torch.cuda.mem_get_info(device)[0]
                + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return psutil.virtual_memory().available


def fitting(each: float, device: torch.device) -> int:
    """How many things of `each` bytes may be worked on at once, at least one: 1, 2, 3, 4, 6, 8, 12, and so on.

    The steps are coarse so that a run that was killed is cut in the same way, and finds its checkpoints, if there is a
    little more or less memory than before.
    """
    n = max(1, int(SHARE * free(device) / each))
    low = 1 << (n.bit_length() - 1)
    return low * 3 // 2 if low > 1 and n >= low * 3 // 2 else low
