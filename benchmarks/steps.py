"""Training and scoring steps of the released recipe or a plain loop, and the library's: same model, rows and results.

Most functions return variants for `measure.compare`: name -> a call that does the work and returns what must agree.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache, partial
from types import SimpleNamespace

import numpy as np
import torch
from more_keys import more_keys
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from transformers.optimization import Adafactor as TheirAdafactor

from unidelta import compiled, deltas, tasks
from unidelta.data import TaskData, collate, rows_of_step
from unidelta.evaluation import losses, predict, scores
from unidelta.optim import Adafactor
from unidelta.projections import KINDS, Projection, draw_ratios, interpolate, reconstruction
from unidelta.stages import scoring, workbench

PADDED = {"input_ids": (512, 0), "attention_mask": (512, 0), "labels": (64, -100)}  # the released recipe's lengths


def padded(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Pad a batch to inputs of 512 tokens and targets of 64, as the released recipe does with every batch."""
    return {name: pad(t, (0, PADDED[name][0] - t.shape[1]), value=PADDED[name][1]) for name, t in batch.items()}


def pieces(datas: Sequence[TaskData], batch: int, step: int = 0) -> list[tuple]:
    """Return the rows of a training step, one piece per solution; as in the stages, a task's solutions see the same."""
    return [(d.train, rows_of_step(len(d.train), d.task, 0, step, batch)) for d in datas]


def stack(backbone, delta, solutions: int, seed: int = 0) -> Tensor:
    """Return solutions (K, N) a little away from the common initialisation, so that they differ as trained ones do."""
    generator = torch.Generator().manual_seed(seed)
    return (delta.init(42) + 0.01 * torch.randn(solutions, delta.numel, generator=generator)).to(backbone.device)


# --- (a) subspace optimisation ----------------------------------------------------------------------------------------
def optimisation(backbone, delta, datas: Sequence[TaskData], y: int, batch: int, lr: float = 1e-2,
                 how=compiled.stacked) -> dict:
    """Take one step of I for every solution, one per entry of `datas`.

    Variants: one solution after another, padded to 512 and 64 tokens, or all together as in `stages.optimize`.
    """
    run = SimpleNamespace(backbone=backbone, losses=partial(how, backbone.model))
    start = delta.init(42).to(backbone.device)
    up = Projection.start(delta.numel, y, [0], delta.kind).up[0].to(backbone.device)
    first = 0.02 * torch.randn(len(datas), y, generator=torch.Generator().manual_seed(1)).to(backbone.device)
    apart, whole = [row[None].clone().requires_grad_() for row in first], first.clone().requires_grad_()
    optimisers, optimiser = [Adafactor([i], lr) for i in apart], Adafactor([whole], lr)
    rows = pieces(datas, batch)

    def released():
        found = []
        for intrinsic, own, piece in zip(apart, optimisers, rows, strict=True):
            with deltas.applied(backbone.model, [(delta, start + intrinsic @ up.T)]):
                found.append(losses(backbone.model, padded(collate([piece], backbone.device)), 1))
            found[-1].sum().backward()
            own.step()
            own.zero_grad()
        return torch.cat(found), torch.cat(apart)

    def ours():
        each = scoring.loss_stack(run, delta, start + whole @ up.T, rows)
        each.sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        return each, whole

    return {"released": released, "ours": ours}


def validation(backbone, made: dict, datas: Sequence[TaskData], rows: int) -> dict:
    """Score one vector's solution with each of the three deltas on the first `rows` test rows of each entry of `datas`.

    Variants: a padded pass for each delta and solution, with at most 64 tokens decoded, or one mixed pass for all.
    made: kind -> delta.
    """
    some = [d.head(rows) for d in datas]
    theta = {k: stack(backbone, delta, len(some)) for k, delta in made.items()}

    def released():
        out = []
        for k, delta in made.items():
            for one, mine in zip(theta[k], some, strict=True):
                batch = padded(collate([(mine.test, range(rows))], backbone.device))
                with deltas.applied(backbone.model, [(delta, one)]), torch.inference_mode():
                    ids = backbone.model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"],
                                                  max_new_tokens=64, do_sample=False, num_beams=1)
                said = [text.strip() for text in backbone.tokenizer.batch_decode(ids, skip_special_tokens=True)]
                out.append(tasks.score(mine.task, said, mine.test.targets))
        return (torch.tensor(out),)

    def ours():
        return (torch.tensor(scores(backbone, [(made[k], theta[k]) for k in made], some * len(made), "test")),)

    return {"released": released, "ours": ours}


# --- (b) multi-task approximation -------------------------------------------------------------------------------------
def approximation(backbone, made: dict, datas: Sequence[TaskData], y: int, ratio: float = 0.1, lr: float = 1e-4,
                  network: bool = True, how=compiled.stacked) -> dict:
    """Take one step of the projections on one example per task, each with its task's own solutions of the three deltas.

    Variants: one example and delta after another (at the example's own length, or padded), or one mixed pass as in
    `stages.approximate`. network=False: the projections, the reconstruction and Adafactor alone, to see their share.
    """
    start = {k: made[k].init(42).to(backbone.device) for k in made}
    offset = {k: (stack(backbone, made[k], len(datas)) - start[k])[None] for k in made}
    rows, mixture = pieces(datas, 1), draw_ratios(0, 0, len(datas)).to(backbone.device)[None]

    def maps_and_optimiser():
        maps = {}
        for k, delta in made.items():
            tensors = Projection.start(delta.numel, y, [0], k).tensors()
            maps[k] = Projection(*(t.to(backbone.device).requires_grad_() for t in tensors))
        return maps, Adafactor([t for k in made for t in maps[k].tensors()], lr)

    def loss_of(maps, some: slice, shape, together: bool) -> Tensor:  # of some examples, each with its task's solutions
        own = {k: maps[k].to_subspace(offset[k][:, some]) for k in made}
        mixed, total = interpolate(own, mixture[:, some]), 0.0
        batch = shape(collate(rows[some], backbone.device))
        entries = [(made[k], (start[k] + maps[k].to_delta(mixed)).flatten(0, 1)) for k in made]
        passes = [entries] if together else [[entry] for entry in entries]
        if network:
            for several in passes:
                repeated = {n: t.repeat(len(several), 1) for n, t in batch.items()}
                total = total + how(backbone.model, several, repeated).sum()
        dist = sum(reconstruction("released", maps[k].to_delta(own[k]), offset[k][:, some]) for k in made)
        return (total + ratio * dist.sum()) / len(rows)

    # together: the three deltas in one pass
    def variant(parts: list[slice], shape=lambda batch: batch, together: bool = False):
        own = cache(maps_and_optimiser)  # made when the variant is first called: at full size one set fills a card

        def step():
            (maps, optimiser), total = own(), 0.0
            for part in parts:
                loss = loss_of(maps, part, shape, together)
                loss.backward()
                total = total + loss.detach()
            optimiser.step()
            optimiser.zero_grad()
            return total, maps["lora"].down2
        return step

    each = [slice(t, t + 1) for t in range(len(datas))]
    return {"one by one": variant(each), "one by one, padded": variant(each, padded),
            "ours": variant([slice(None)], together=True)}


# --- the same steps through a compiled graph --------------------------------------------------------------------------
def compiling(make) -> dict:
    """A step as it is, or through a compiled graph. make: how the pass is run -> a call that takes the step."""
    return {"as it is": make(compiled.stacked), "compiled": make(compiled.captured)}


# --- (c) the floor ----------------------------------------------------------------------------------------------------
def training(backbone, delta, batch: dict[str, Tensor], solutions: int, lr: float = 1e-3, how=compiled.stacked):
    """Return a call that takes one step of `solutions` stacked solutions in their own space.

    The step is that of `stages.original`. The call returns their losses and theta.
    """
    theta = stack(backbone, delta, solutions).requires_grad_()
    optimiser = Adafactor([theta], lr, delta.blocks)

    def step():
        each = how(backbone.model, [(delta, theta)], batch)
        each.sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        return each, theta
    return step


def bare(backbone, batch: dict[str, Tensor]):
    """Return a call of the frozen network without any delta, the least that a training step can take.

    It goes forward, and backward to the embeddings of input and target.
    """
    model, ids = backbone.model, batch["labels"].clamp_min(0)
    inputs = model.shared(batch["input_ids"]).detach().requires_grad_()
    shifted = model.shared(torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], 1)).detach().requires_grad_()

    def step():
        logits = model(inputs_embeds=inputs, attention_mask=batch["attention_mask"], decoder_inputs_embeds=shifted,
                       use_cache=False).logits
        loss = cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten())
        loss.backward()
        inputs.grad = shifted.grad = None
        return (loss,)
    return step


def floor(backbone, delta, batch: dict[str, Tensor], solutions: int) -> dict:
    """The bare network (for a prefix with as many added keys) against our training step on the same batch."""
    network = bare(backbone, batch)

    def with_more_keys():
        with more_keys(backbone.model, delta.length):
            return network()

    return {"floor": with_more_keys if delta.kind == "prefix" else network,
            "ours": training(backbone, delta, batch, solutions)}


# --- (d) stacks, (e) peft, (g) landscape, and how answers are scored --------------------------------------------------
def stacked(backbone, delta, datas: Sequence[TaskData], batch: int, lr: float = 1e-3) -> dict:
    """Take one step of K = len(datas) solutions in their own space.

    Variants: one solution after another, each at its own rows' length, or all as one stack.
    """
    rows, device = pieces(datas, batch), backbone.device
    first = stack(backbone, delta, len(datas))
    apart, whole = [row[None].clone().requires_grad_() for row in first], first.clone().requires_grad_()
    optimisers, optimiser = [Adafactor([t], lr, delta.blocks) for t in apart], Adafactor([whole], lr, delta.blocks)

    def step(theta, own, some):
        with deltas.applied(backbone.model, [(delta, theta)]):
            each = losses(backbone.model, collate(some, device), len(some))
        each.sum().backward()
        own.step()
        own.zero_grad()
        return each.detach()

    def separate():
        each = [step(theta, own, [piece]) for theta, own, piece in zip(apart, optimisers, rows, strict=True)]
        return torch.cat(each), torch.cat(apart)

    return {"separate": separate, "ours": lambda: (step(whole, optimiser, rows), whole)}


def peft(backbone, delta, datas: Sequence[TaskData], batch: int, lr: float = 1e-3) -> dict:
    """Take one step of LoRA solutions: peft's in a plain loop with transformers' Adafactor, or ours as one stack.

    delta: a `Lora`. Each of peft's solutions gets a copy of the backbone, with A^T and B^T of our theta as its weights.
    """
    from peft import LoraConfig, get_peft_model
    rows, first = pieces(datas, batch), stack(backbone, delta, len(datas))
    config = LoraConfig(r=delta.rank, lora_alpha=delta.scale * delta.rank, target_modules=["q", "v"], lora_dropout=0.0)
    plain = []
    for theta in first:
        wrapped, views = get_peft_model(deepcopy(backbone.model), config), delta.views(theta[None])
        # in our order: encoder, then decoder; self, then cross; q, v; A, B
        held = [p for n, p in wrapped.named_parameters() if "lora_" in n]
        for parameter, own in zip(held, views.values(), strict=True):
            parameter.data.copy_(own[0].T)
        plain.append((wrapped, held, TheirAdafactor(held, lr=lr, scale_parameter=False, relative_step=False,
                                                    warmup_init=False)))

    def loop():
        each = []
        for (wrapped, _, optimiser), piece in zip(plain, rows, strict=True):
            loss = wrapped(**collate([piece], backbone.device)).loss
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            each.append(loss.detach())
        flat = [torch.cat([p.detach().T.flatten() for p in held]) for _, held, _ in plain]
        return torch.stack(each), torch.stack(flat)

    return {"peft": loop, "ours": stacked(backbone, delta, datas, batch, lr)["ours"]}


def points(backbone, delta, data: TaskData, count: int, rows: int, size: int) -> dict:
    """Score `count` points of a landscape on the same `rows` test rows.

    Variants: point by point (at the rows' own lengths, or padded and decoding up to 64 tokens), or in stacks of `size`
    as in `unidelta.stages.landscapes`.
    """
    run, some, theta = SimpleNamespace(backbone=backbone), data.head(rows), stack(backbone, delta, count)

    def one_by_one():
        return (torch.tensor([scoring.score_stack(run, delta, one[None], [some], "test")[0] for one in theta]),)

    def in_stacks():
        found = []
        for part in workbench.stacks(range(count), size):
            found += scoring.score_stack(run, delta, theta[part], [some] * len(part), "test")
        return (torch.tensor(found),)

    released = validation(backbone, {delta.kind: delta}, [data] * count, rows)["released"]
    return {"point by point": one_by_one, "point by point, padded": released, "ours": in_stacks}


def answers(backbone, delta, data: TaskData, count: int, rows: int) -> dict:
    """Count how many of `rows` test rows each of `count` solutions answers right.

    Variants: greedy decoding, as we score, or one pass over the right answers, whose every token must be the most
    probable one after those before it. A set of L label words would take L answers in place of one.

    Nothing is trained here. Every other right answer is therefore replaced by what the first solution says, if that
    comes to an end, so that some answers are right.
    """
    theta, some = stack(backbone, delta, count), data.head(rows)
    answered, = predict(backbone, [(delta, theta[:1])], [some.test], [some.longest_answer])
    cut = {text: np.array(backbone.tokenizer("<extra_id_0>" + text).input_ids)
           for text in {*answered, *(t[0] for t in some.test.targets)}}
    right = []
    for r, (said, own) in enumerate(zip(answered, some.test.targets, strict=True)):
        ends = len(cut[said]) <= some.longest_answer
        right.append([said] if r % 2 and ends else own)
    labels = [cut[targets[0]] for targets in right]
    some = replace(some, test=replace(some.test, labels=labels, targets=right))
    batch = collate([(some.test, range(rows))] * count, backbone.device)
    batch["labels"] = torch.where(batch["labels"] == -100, 0, batch["labels"])

    def decoded():
        said = predict(backbone, [(delta, theta)], [some.test] * count, [some.longest_answer] * count)
        hits = [sum(answer in targets for answer, targets in zip(mine, right, strict=True)) for mine in said]
        return (torch.tensor(hits),)

    @torch.inference_mode()
    def in_one_pass():
        with deltas.applied(backbone.model, [(delta, theta)]):
            likeliest = backbone.model(**batch).logits.argmax(-1)
        same = (likeliest == batch["labels"]) | (batch["labels"] == 0)
        return (same.all(1).view(count, rows).sum(1),)

    return {"one pass over the right answers": in_one_pass, "ours": decoded}


def made_for(backbone, sizes: dict[str, dict]) -> dict:
    """Return kind -> delta, for this backbone. sizes: kind -> the delta's sizes."""
    return {k: deltas.make(k, backbone.config, **sizes[k]) for k in KINDS}
