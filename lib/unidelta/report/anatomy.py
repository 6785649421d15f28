"""What stage 1 makes of a training task: the directions of the up-projections, and where the three vectors lie."""

import math
from collections.abc import Sequence

import torch
from IPython.display import HTML, Markdown

from unidelta.projections import KINDS
from unidelta.report.measures import LABEL, html, markdown
from unidelta.stages import approximate, original
from unidelta.stages.workbench import Run


def dissected(run: Run, train: Sequence[str], seed: int) -> dict[str, dict]:
    """Return figures that describe a trained subspace, by delta.

    `N` is the number of parameters and `values` are the singular values of Proj_up. `cosine` is that of its leading
    direction with the offset of a training solution, in absolute value and the largest over the training tasks;
    `length` is the offset's mean length. `before` and `after` are the mean |W_1 offset|, which enters the tanh of
    Proj_down: before training as expected of W_1 ~ N(0, 0.02²), and after it. `tanh` is the mean |tanh| after it."""
    space = approximate(run, train, [seed])[seed].tensors()
    done = original(run, train, seeds=[seed])
    found = {}
    for kind in KINDS:
        offset = torch.stack([done[t, kind, seed].tensors()["theta"] for t in train]) - run.start(kind).cpu()
        left, values, _ = torch.linalg.svd(space[f"up.{kind}"].float(), full_matrices=False)
        length = float(offset.norm(dim=1).mean())
        after = offset @ space[f"down1.{kind}"].float().T
        found[kind] = {"N": offset.shape[1], "values": values.tolist(),
                       "cosine": float(torch.cosine_similarity(left[:, :1].T, offset).abs().max()), "length": length,
                       "before": 0.02 * (2 / torch.pi) ** 0.5 * length, "after": float(after.abs().mean()),
                       "tanh": float(after.tanh().abs().mean())}
    return found


def table(run: Run, train: Sequence[str], seed: int) -> HTML:
    """Return `dissected` as a table, with the first six singular values."""
    return html([{"delta": LABEL[kind], "N": f"{one['N']:,}",
                  "singular values of Proj_up": ", ".join(f"{v:.1f}" for v in one["values"][:6]),
                  "of an untrained one": f"{0.02 * one['N'] ** 0.5:.1f} each",
                  "|cos| with θ_train − θ_init": f"{one['cosine']:.3f}",
                  "‖θ_train − θ_init‖": f"{one['length']:.1f}",
                  "mean |W₁(θ_train − θ_init)|, untrained W₁": f"{one['before']:.2f}",
                  "trained W₁": f"{one['after']:.2f}", "mean |tanh|": f"{one['tanh']:.3f}"}
                 for kind, one in dissected(run, train, seed).items()])


def distances(run: Run, train: list[str], seed: int) -> HTML:
    """Return the lengths of three intrinsic vectors, each delta's mean over the training tasks, and their distances."""
    space = approximate(run, train, [seed])[seed].tensors()
    vector = {k: space[f"I.{k}"].mean(0) for k in KINDS}
    return html([{"": LABEL[a], "length": f"{v.norm():.2f}",
                  **{"to " + LABEL[b]: f"{(v - w).norm():.2f}" for b, w in vector.items()}}
                 for a, v in vector.items()])


def told(run: Run, train: Sequence[str], seeds: Sequence[int]) -> Markdown:
    """Answer the first three questions of chapter 1 about a trained subspace, with ranges over deltas and seeds.

    The fourth, how near the intrinsic vectors are to each other, is answered by `distances`."""
    parts = [one for seed in seeds for one in dissected(run, train, seed).values()]
    ratio = [one["values"][0] / max(one["values"][1], 1e-9) for one in parts if len(one["values"]) > 1]
    steep = (f"the largest singular value of Proj_up is {min(ratio):.1f} to {max(ratio):.1f} times the second, and "
             if ratio else "Proj_up has one direction (y is 1), and ")
    cosine, before, after = ([one[name] for one in parts] for name in ("cosine", "before", "after"))
    return markdown(f"Over deltas and seeds, {steep}the cosine of its leading direction with the training solution's "
                    f"offset is {min(cosine):.2f} to {max(cosine):.2f}. The input of the tanh is {min(before):.2f} to "
                    f"{max(before):.2f} in mean absolute value with an untrained projection, and {min(after):.1f} to "
                    f"{max(after):.1f} after training; tanh of the smallest of these is {math.tanh(min(after)):.2f}.")
