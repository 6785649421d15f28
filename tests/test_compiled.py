"""A compiled training pass equals the plain one up to rounding: losses, gradients, and what stages make of them."""

import pytest
import tiny
import torch

from unidelta import compiled, profiles
from unidelta.data import collate
from unidelta.projections import KINDS
from unidelta.stages import Run, approximate, optimize, workbench

SMALL = dict(steps=2, y=3, caps={"train": 48, "dev": 20, "test": 24}, optimize_lrs=(1e-2,), device="cpu", max_length=64)


@pytest.fixture
def open_run(tmp_path):
    folder = tiny.save(tmp_path / "t5", num_layers=1)  # one layer each: a compiler takes long enough for it

    def open_(root="runs", **changes):
        return Run.open("embedded", str(tmp_path / root), backbone=folder, **SMALL | changes)
    return open_


def test_a_mixed_stack_of_other_lengths_goes_through_one_graph(open_run):
    try:
        compiled.check(torch.device("cpu"))
    except ValueError as error:
        pytest.skip(str(error))
    run, seeds = open_run(max_length=256), [0, 1]
    datas = [run.data("rotten_tomatoes", s) for s in seeds]
    generator = torch.Generator().manual_seed(0)
    entries = [(run.delta(k), (run.start(k) + 0.1 * torch.randn(2, run.delta(k).numel, generator=generator)
                               ).requires_grad_()) for k in KINDS]
    lengths, before = set(), compiled._graph.cache_info().misses
    for step in range(3):
        batch = {name: t.repeat(len(KINDS), 1)
                 for name, t in collate(run.rows(datas, seeds, step, 3), run.backbone.device).items()}
        lengths.add(batch["input_ids"].shape[1])
        found = []
        for way in (compiled.stacked, compiled.captured):
            each = way(run.backbone.model, entries, batch)
            found.append((each, torch.autograd.grad(each.sum(), [theta for _, theta in entries])))
        (plain, theirs), (ours, mine) = found
        assert plain.shape == (6,)
        assert torch.allclose(plain, ours, rtol=1e-5)
        assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-6) and a.abs().max() > 1e-4
                   for a, b in zip(theirs, mine, strict=True))
    assert len(lengths) > 1
    assert compiled._graph.cache_info().misses == before + 1


def test_the_stages_find_the_same_compiled_and_call_it_by_the_same_name(open_run, monkeypatch):
    used = []
    monkeypatch.setattr(torch, "compile", lambda graph, **options: graph)  # the graph as it was traced
    monkeypatch.setattr(workbench.compiled, "captured", lambda *args, own=compiled.captured: (
        used.append(args) or own(*args)))
    found = {}
    for root, how in (("plain", False), ("compiled", True)):
        run = open_run(root, compiled=how)
        space, = approximate(run, ["glue-sst2"]).values()
        assert len(used) == (8 if how else 0), \
            "two steps of each of three deltas in their own space, and two of stage 1"
        vector, = optimize(run, ["glue-sst2"], ["rotten_tomatoes"], ["lora"]).values()
        found[root] = space.path.name, space.tensors()["up.lora"], vector.path.name, vector.tensors()["I"]
    (name, up, its, vector), (same, other, own, close) = found.values()
    assert (name.rpartition("-")[0], its.rpartition("-")[0]) == (same.rpartition("-")[0], own.rpartition("-")[0])
    assert torch.allclose(up, other, atol=1e-3)
    assert torch.allclose(vector, close, atol=1e-3)


def test_answers_too_short_for_a_graph_are_passed_as_they_are(open_run, monkeypatch):
    run = open_run()
    monkeypatch.setattr(compiled, "_graph", None)  # to call it is an error
    batch = {name: t[:, :2].contiguous() for name, t in collate(
        run.rows([run.data("rotten_tomatoes", 0)], [0], 0, 3), run.backbone.device).items()}
    entries = [(run.delta("lora"), run.start("lora")[None])]
    assert torch.equal(compiled.captured(run.backbone.model, entries, batch),
                       compiled.stacked(run.backbone.model, entries, batch))


def test_where_nothing_can_be_compiled_a_run_is_refused_in_one_line(open_run, monkeypatch):
    def fails(function):
        def call(x):
            raise RuntimeError("\nC++ compile error\nat great length")
        return call

    compiled.check.cache_clear()
    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(ValueError, match=r"^compiled=True is not possible here "
                                         r"\(C\+\+ compile error at great length\): .*; allowed: False$"):
        open_run(compiled=True)
    assert open_run().profile.compiled is False


@pytest.mark.parametrize("value", [1, "yes"])
def test_compiled_is_true_or_false(value):
    with pytest.raises(ValueError, match="compiled=.* must be of type bool"):
        profiles.get(compiled=value)
