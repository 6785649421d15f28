"""Every benchmark runs at a tiny size and its variants agree; the cost model counts what can be counted by hand.

Nothing here is timed."""

import gc
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import torch
from bs4 import BeautifulSoup
from scipy.linalg import hadamard
from transformers import T5Config

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import book  # noqa: E402
import check_cost  # noqa: E402
import gpu  # noqa: E402
import measure  # noqa: E402
import resources  # noqa: E402
import shapes  # noqa: E402
import steps  # noqa: E402
import suite  # noqa: E402
import transform  # noqa: E402
from more_keys import more_keys  # noqa: E402

from unidelta import cost, deltas, memory  # noqa: E402
from unidelta.fastfood import trained  # noqa: E402
from unidelta.optim import Adafactor  # noqa: E402
from unidelta.profiles import PROFILES  # noqa: E402
from unidelta.projections import KINDS, VARIANTS, Projection, reconstruction  # noqa: E402
from unidelta.report import costs, speed  # noqa: E402


@pytest.fixture(scope="module")
def setting(tiny_t5):
    return suite.Setting(tiny_t5, repeats=1, small=True)


@pytest.fixture
def uncompiled(monkeypatch):
    """Trace graphs without compiling them, which takes a while. tests/test_compiled.py compiles them."""
    monkeypatch.setattr(torch, "compile", lambda graph, dynamic: graph)


@pytest.mark.parametrize("part", [p for p in suite.PARTS if p not in ("floor", "throughput", "cost")])
def test_parts_agree_and_report_ratios(part, setting, uncompiled):
    found = suite.PARTS[part](setting)
    assert found["lines"]
    assert all(r["median"] > 0 and r["n"] >= 1
               for line in found["lines"].values() for r in line["ratio"].values())
    json.dumps(found)


def test_the_floor_is_the_same_network(setting):
    found = suite.floor(setting)
    assert set(found["lines"]) == {f"{shape}, {kind}" for shape in ("embedded", "T5-base") for kind in KINDS}
    batch = steps.collate(steps.pieces([setting.data(suite.TASK)], 4), setting.backbone.device)
    loss, = steps.bare(setting.backbone, batch)()
    assert torch.allclose(loss.mean(), setting.backbone.model(**batch).loss, rtol=1e-5)


def test_more_keys_are_zeros_before_the_own_ones(setting):
    """A prefix whose last linear map is zero gives keys and values of zeros.

    Without a bias of their own, they are the floor's."""
    t5, batch = setting.backbone, steps.collate(steps.pieces([setting.data(suite.TASK)], 4), setting.backbone.device)
    prefix = deltas.make("prefix", t5.config, length=5, hidden=2, bias="zero")
    before = t5.model(**batch).loss
    with more_keys(t5.model, 5):
        floor = t5.model(**batch).loss
    with deltas.applied(t5.model, [(prefix, torch.zeros(prefix.numel))]):
        ours = t5.model(**batch).loss
    assert torch.allclose(floor, ours, rtol=1e-5)
    assert not torch.allclose(floor, before, rtol=1e-5)
    assert torch.equal(t5.model(**batch).loss, before), "outside the block the model is as it was"


def test_parts_have_processes_of_their_own_and_what_was_measured_before_one_fails_is_kept(tmp_path, monkeypatch, capfd):
    ran = []

    def run(command, **options):
        ran.append(command[2])
        if command[2] == "landscape":
            return subprocess.CompletedProcess(command, -9)
        return subprocess.run(command, **options)

    monkeypatch.setattr(suite, "subprocess", SimpleNamespace(run=run))
    parts = ["hadamard", "landscape", "scoring"]
    assert suite.main([*parts, "--small", "--repeats", "1", "--out", str(tmp_path)]) == 1
    assert ran == parts[:2], "those after it do not run"
    assert [f.name for f in tmp_path.iterdir()] == ["hadamard.json"]
    assert "landscape failed with exit status -9" in capfd.readouterr().err


@tiny.linux
def test_throughput_has_a_line_for_every_axis(setting):
    found = suite.throughput(setting)["measurements"]
    assert {line["axis"] for line in found} == {"length", "K", "y", "tasks"}
    assert all(line["tokens_per_second"]["median"] > 0 and line["peak_mib"] > 1 for line in found), \
        "the rows, activations and projections of a step"


def test_where_memory_cannot_be_measured_the_other_parts_are_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(resources, "PROC", tmp_path)
    with pytest.raises(SystemExit) as stopped:
        suite.main(["--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "throughput measures peak memory" in said
    assert "recipe, multitask, " in said
    assert not (tmp_path / "out").exists()


def test_a_setting_leaves_nothing_behind():
    one = suite.Setting()
    folder = Path(one.folder.name)
    (folder / "tokens").touch()
    del one
    gc.collect()
    assert not folder.exists()


def test_variants_that_differ_are_named():
    with pytest.raises(AssertionError, match="ours and released differ by 1.00e"):
        measure.agree({"released": lambda: [torch.zeros(2)], "ours": lambda: [torch.ones(2)]})


def test_ratios_are_taken_within_a_repeat():
    found = measure.ratios({"a": [2.0, 30.0, 4.0], "ours": [1.0, 10.0, 1.0]}, "ours")["a"]
    assert found == {"median": 3.0, "low": 2.5, "high": 3.5, "n": 3}


def test_variants_take_turns():
    order = []
    measure.seconds({name: lambda name=name: order.append(name) for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"


def test_the_released_formulation_is_the_transform():
    x = torch.randn(64, dtype=torch.float64)
    assert torch.allclose(transform.butterflies(x), torch.from_numpy(hadamard(64)).double() @ x)


def test_padding_is_the_recipes():
    batch = steps.padded(
        {"input_ids": torch.ones(2, 5), "attention_mask": torch.ones(2, 5), "labels": torch.ones(2, 3)})
    assert {n: (tuple(t.shape), t[0, -1].item()) for n, t in batch.items()} == {
        "input_ids": ((2, 512), 0), "attention_mask": ((2, 512), 0), "labels": ((2, 64), -100)}


@pytest.mark.parametrize("main", [suite.main, gpu.main, book.main])
def test_bad_arguments_are_one_line(main, capsys):
    for arguments in (["--nonsense"], ["--repeats", "0"] if main is not book.main else ["--jobs", "0"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert "error:" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("main", [suite.main, gpu.main, book.main])
def test_a_folder_for_results_that_cannot_be_made_shows_before_anything_is_timed(main, capsys):
    for folder in (f"{__file__}/results", ""):
        with pytest.raises(SystemExit) as stopped:
            main(["--out", folder, *{suite.main: ["hadamard"], gpu.main: ["--device", "cpu"]}.get(main, [])])
        assert stopped.value.code == 2
        assert "cannot be used" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_leaves_its_machine_beside_its_numbers(tmp_path):
    assert suite.main(["hadamard", "--small", "--repeats", "1", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "hadamard.json").read_text(encoding="utf-8"))
    assert {"device", "cpu", "threads", "torch", "git_commit", "created"} <= set(found["made"])
    assert found["lines"]["2^4"]["log2"] == 4


@tiny.linux
def test_gpu_script_goes_through_on_a_cpu(uncompiled, tmp_path):
    small = ["--shape", "tiny", "--device", "cpu", "--repeats", "1", "--solutions", "1,2", "--log2", "4,6",
             "--length", "8"]
    assert gpu.main([*small, "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert {line["stage"] for line in found["steps"]} == {"original", "optimize", "optimize, compiled", "approximate"}
    assert found["landscape"]["points_per_second"]["median"] > 0
    assert [w["log2"] for w in found["transform"]] == [4, 6]
    found["steps"][0] |= {"fits": False}
    told = speed.gpu(found).data
    assert "does not fit" in told
    assert "points a second" in told
    assert "2^4 to 2^6" in told
    assert "y = 100" in told
    assert "nan" not in told
    assert "has not been measured" in speed.gpu(None).data


def test_the_books_time_is_taken_from_its_log():
    assert book.jobs("run dream ...\nrun dream done in 61 s\nnotebook 20_data done in 5 s\n") == {
        "run dream": 61, "notebook 20_data": 5}


def test_the_result_of_the_book_keeps_the_last_runs(monkeypatch, tmp_path):
    said = {"git": "abc\n", "make": "run dream done in 61 s\n"}
    monkeypatch.setattr(book, "timed", lambda command, folder: (61.0, said[command[0]]))
    for _ in range(book.KEPT + 1):
        assert book.main(["--out", str(tmp_path)]) == 0
    found = speed.load("book", tmp_path)
    assert [run["commit"] for run in found["runs"]] == ["abc"] * book.KEPT
    for minute, run in enumerate(found["runs"]):  # as far apart as builds are
        run["created"] = f"2026-01-01T00:0{minute}:00Z"
    found["runs"][0] |= {"seconds": 60 * speed.BOOK + 1, "jobs": {}}
    shown = [[cell.text for cell in row("td")] for row in BeautifulSoup(speed.book(found).data, "html.parser")("tr")]
    assert [f"at most {speed.BOOK}: met", "no"] + ["yes"] * (book.KEPT - 1) in shown
    assert ["run dream", ""] + ["1.0"] * (book.KEPT - 1) in shown


# --- the cost model --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def base():
    return T5Config(feed_forward_proj="gated-gelu", tie_word_embeddings=False, **shapes.SHAPES["base"])


def test_operations_of_a_network_small_enough_to_count():
    config = T5Config(d_model=2, d_kv=1, num_heads=1, d_ff=3, num_layers=1, num_decoder_layers=1, vocab_size=5,
                      feed_forward_proj="gated-gelu")
    linear = 3 * (4 * 4 + 6 * 6) + 3 * 4 * 2  # encoder: q k v o (2 x 1 each), 3 maps 2 x 3; cross-attention's k and v
    linear += 2 * (4 * 4 + 2 * 4 + 6 * 6 + 2 * 2 * 5)
    products = 4 * (3 * 3 + 2 * (2 + 3))
    assert cost.backbone(config, 1, 3, 2, training=False) == linear + products
    assert cost.backbone(config, 7, 3, 2) == 7 * (2 * linear + 3 * products)
    assert cost.backbone(config, 1, 3, 2, keys=10, training=False) == linear + products + 4 * 10 * (3 + 2)


def test_counts_what_torch_counts(base):
    """torch's own counter sees the same products in a forward pass. It does not look inside fused attention."""
    from torch.utils.flop_counter import FlopCounterMode
    t5 = shapes.random_t5("tiny")
    ids, labels = torch.ones(2, 16, dtype=torch.long), torch.ones(2, 4, dtype=torch.long)
    t5.model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        t5.model(input_ids=ids, labels=labels)
    assert counter.get_total_flops() == cost.backbone(t5.config, 2, 16, 4, training=False)


def test_operations_of_deltas(base):
    made = {k: deltas.make(k, base, **PROFILES["paper"].sizes(k)) for k in KINDS}
    adapter, lora, prefix = (made[k] for k in ("adapter", "lora", "prefix"))
    assert cost.delta(adapter, 1, 10, 0) == 3 * 10 * 24 * 2 * 2 * 768 * 12, "24 sites in the encoder"
    assert cost.delta(lora, 1, 0, 1) == 3 * 2 * (24 + 12) * 2 * 768 * 10, \
        "q, v of self-attention and q of cross-attention"
    assert cost.delta(prefix, 1, 10, 3) == cost.delta(prefix, 8, 100, 30) \
        == 6 * 120 * 2 * (24 * 768 + 24 * 2 * 12 * 768)


@pytest.mark.parametrize("variant", VARIANTS)
def test_projections_multiply_what_torch_counts(variant):
    """Count a step of `approximate`. The mixing of the deltas' vectors, which are short, is left out."""
    from torch.utils.flop_counter import FlopCounterMode
    maps, offset = Projection.start(300, 7, [0], "lora"), torch.randn(1, 3, 300)
    for tensor in maps.tensors():
        tensor.requires_grad_()
    with FlopCounterMode(display=False) as counter:
        own = maps.to_subspace(offset)
        moved = maps.to_delta(0.5 * own)
        rebuilt = moved if variant == "paper" else maps.to_delta(own)
        (moved.sum() + reconstruction(variant, rebuilt, offset)).backward()
    assert counter.get_total_flops() == cost.projections(300, 7, 3, variant)


def test_memory_of_the_multi_task_setting(base):
    made = {k: deltas.make(k, base, **PROFILES["paper"].sizes(k)) for k in KINDS}
    parts = memory.approximation(base, made, 100, 60, 12, 512, 4)
    assert parts["backbone"] == pytest.approx(4 * 247_530_000 / 2**30, rel=1e-3), \
        "weights without norms and position buckets"
    assert parts["projections"] == 4 * (6 * 1_105_920 * 100 + 3 * 100**2) / 2**30
    assert parts["activations"] == pytest.approx(
        3 * memory.approximation(base, made, 100, 60, 4, 512, 4)["activations"])
    up = memory.approximation(base, made, 100, 0, 12, 512, 4, down=False)
    assert up["projections"] == 4 * 3 * 1_105_920 * 100 / 2**30
    assert up["Adafactor's moments"] == 4 * 3 * (1_105_920 + 100) / 2**30
    assert up["solutions"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_solution_is_counted_to_hold_is_what_it_holds(setting, kind):
    """The activations of one step, as torch keeps them, are at most a tenth above the count and at least half of it."""
    t5 = setting.backbone
    delta = deltas.make(kind, t5.config, **PROFILES["embedded"].sizes(kind))
    for rows, length in ((8, 24), (4, 60)):
        held = check_cost.saved_bytes(t5.model, steps.training(t5, delta, resources.batch_of(t5, rows, length), 1))
        counted = memory.solution(t5.config, delta, rows, length, 4) - 4 * memory.COPIES * delta.numel
        assert 0.5 * counted < held < 1.1 * counted, (rows, length, held / counted)


def test_the_plan_is_the_profiles():
    single, multi = (cost.plan(s)[1] for s in cost.SETTINGS)
    of = {w.stage: w for w in single}
    assert of["approximate"].steps == PROFILES["paper"].approximate_steps
    assert of["approximate"].rows == 24
    assert of["optimize"].rows == 8
    of = {w.stage: w for w in multi}
    assert of["approximate"].steps == 300_000
    assert of["approximate"].rows == 12
    assert of["approximate"].scored == 3 * 240 * 60
    assert of["simplified: shared"].steps == PROFILES["paper"].shared_steps, "four rates in appendix A.4"
    assert of["simplified: optimize"].jobs == 9 * 3 * 4
    assert [w.stage for w in multi if w.maps] == ["approximate", "simplified: shared"]
    assert of["original"].jobs == 69 * 3
    assert of["optimize"].jobs == 9 * 3 * 2
    assert of["transfer"].jobs * of["transfer"].validations == 9 * 6 * 20, "six directions; its own are known"
    assert of["simplified: transfer"].jobs * of["simplified: transfer"].validations == 9 * 6 * 4 * 10
    with pytest.raises(ValueError, match="allowed: single, multi"):
        cost.plan("both")


def test_hours_fall_with_the_rate(base):
    made = {k: deltas.make(k, base) for k in KINDS}
    slow, fast = (cost.hours("multi", base, made, flops, flops / 10).hours for flops in (1e12, 2e12))
    assert (slow / fast).tolist() == pytest.approx([2.0] * len(slow))
    assert (cost.cards().float32 > 0).all()


def test_hours_of_a_stage_by_hand(base):
    made, n = {k: deltas.make(k, base) for k in KINDS}, 1_105_920
    line = cost.hours("multi", base, made, 1e12, 1e11, length=100, answer=5).loc["approximate"]
    # four draws of a row, three deltas
    network = cost.backbone(base, 12, 100, 5, keys=120) + max(cost.delta(d, 12, 100, 5) for d in made.values())
    # for each draw: down and its weights' gradient, up and both gradients, and the y x y map in between
    maps = 3 * 4 * 2 * 100 * (n + 2 * 2 * n + 3 * 100)
    training = 300_000 * ((network + maps) / 1e12 + 4 * 20 * 3 * 2 * n * 100 / 1e11)
    scoring = 300 * cost.backbone(base, 3 * 240 * 60, 100, 5, keys=120, training=False) / 1e12
    assert [line.jobs, line.steps] == [1, 300_000]
    assert [line.training, line.scoring] == pytest.approx([training / 3600, scoring / 3600])
    assert line.hours == line.training + line.scoring


def test_the_check_of_the_model_goes_through():
    found = check_cost.check("tiny", 1)
    assert len(found["steps"]) == 6
    assert all(line["ratio"]["median"] > 0 for line in found["steps"])
    assert 0.5 < found["activations_measured_over_counted"][64] < 3
    if resources.measurable(torch.device("cpu")):
        assert [line["y"] for line in found["approximate"]] == [4, 100]
        assert all(line[name] > 0 for line in found["approximate"] for name in line)
        assert "100" in costs.spaces(found | {"part": "cost"}).data


# --- the chapter's tables --------------------------------------------------------------------------------------------
def test_a_missing_measurement_is_said(tmp_path):
    assert "not been measured" in speed.ratios(speed.load("nothing_here", tmp_path)).data
    assert "not been measured" in speed.ratios(speed.load("recipe", tmp_path / "none")).data


def test_the_traffic_of_a_projection_is_what_adafactor_does():
    """PASSES counts the reads and writes of whole matrices in a step of Adafactor, and four for the gradient.

    The former are counted as torch dispatches them."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves
    size, views = 300 * 20, (
        "view", "expand", "transpose", "unsqueeze", "slice", "select", "detach", "alias", "empty", "split", ".t.")

    class Count(TorchDispatchMode):
        passes = 0

        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            out = operation(*args, **(kwargs or {}))
            if not any(view in str(operation) for view in views):
                whole = [{id(t) for t in tree_leaves(each) if isinstance(t, torch.Tensor) and t.numel() == size}
                         for each in (args, out)]
                Count.passes += sum(map(len, whole))
            return out
    matrix = torch.randn(1, 300, 20).requires_grad_()
    optimizer = Adafactor([matrix], 1e-3)
    matrix.grad = torch.randn(1, 300, 20)
    with Count():
        optimizer.step()
    assert cost.PASSES == Count.passes + 4


def test_the_rates_of_a_fine_tuned_search_do_not_fit_the_papers_card():
    """The page "At full size" states this in text written by hand."""
    config, _ = costs.base()
    each = memory.solution(config, SimpleNamespace(numel=247_577_856), 8, 128, 4)  # even with short inputs
    assert len(PROFILES["paper"].fastfood_optimize_lrs) == 7
    assert 7 * each > 32 * 2**30 > each


def test_the_plan_of_one_training_task():
    p, works = cost.plan("single")
    of, dev = {w.stage: w for w in works}, p.caps["dev"]
    assert of["approximate"].scored == of["simplified: shared"].scored == 3 * dev
    assert of["original"].scored == of["optimize"].scored == of["transfer"].scored == dev
    assert of["optimize, random control"] == replace(of["optimize"], stage="optimize, random control")
    assert of["simplified: optimize"].validations == p.optimize_steps // p.shared_optimize_every
    assert of["simplified: shared"].rows == 3 * p.shared_batch * p.shared_draws
    many = {w.stage: w for w in cost.plan("multi")[1]}
    assert many["simplified: shared"].scored == many["approximate"].scored
    q = cost.plan("multi")[0]
    assert many["simplified: optimize"].validations == q.optimize_steps // q.shared_optimize_every


def test_memory_of_a_small_subspace_by_hand():
    config = T5Config(d_model=2, d_kv=1, num_heads=1, d_ff=3, num_layers=1, num_decoder_layers=1, vocab_size=5)
    made, y, of = {"a": SimpleNamespace(numel=10), "b": SimpleNamespace(numel=20, length=3)}, 4, (3, 7, 2)
    parts = {name: gib * 2**30 for name, gib in memory.approximation(config, made, y, 2, *of).items()}
    maps_ = (10 + 20) * 4 + (10 + 4 + 20 + 4) * 4  # up; down and the square map behind it
    assert parts["projections"] == parts["their gradients"] == parts["best so far"] == 4 * maps_
    assert parts["Adafactor's moments"] == 4 * (2 * (10 + 20) + 2 * (4 + 3 * 4)), "rows and columns of all three"
    assert (parts["Adafactor's working space"], parts["solutions"]) == (2 * 4 * 20 * 4, 4 * 2 * 30)
    assert memory.subspace(config, made, y, 2, *of) == pytest.approx(sum(parts.values()) - parts["backbone"])
    assert memory.fastfood(SimpleNamespace(numels=[10, 20]), y) == 26 * trained([10, 20], y), "six copies and two bytes"
