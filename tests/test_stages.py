"""The stages on a tiny backbone: each leaves what section 4 says, and no work is repeated or mixed up."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import tiny
import torch

from unidelta import compiled, data, deltas, evaluation, memory, profiles, stages, tasks, training
from unidelta.projections import KINDS, Projection, draw_ratios, draw_spread
from unidelta.report import planes
from unidelta.stages import (
    Run,
    approximation,
    baselines,
    controls,
    landscapes,
    maps,
    optimization,
    scoring,
    shared,
    solutions,
    transferring,
    workbench,
)

STAGES = (solutions, approximation, optimization, transferring)  # the modules of the decomposed pipeline
TRAIN, UNSEEN = ["glue-sst2"], ["rotten_tomatoes", "amazon_polarity"]
# strong learning rates in the subspace, so that a few steps change the answers
SMALL = dict(steps=4, y=3, caps={"train": 48, "dev": 20, "test": 24},
             original_every=2, approximate_every=2, optimize_every=2, optimize_lrs=(1.0, 5.0),
             device="cpu", max_length=64)


@pytest.fixture
def open_run(tiny_t5, tmp_path):
    def open_(root="runs", profile="embedded", backbone=tiny_t5, **changes):
        return Run.open(profile, str(tmp_path / root), backbone=backbone, **SMALL | changes)
    return open_


@pytest.fixture(scope="module")
def done(tiny_t5, tmp_path_factory):
    """Run every stage of one subspace with two seeds. Return (run, artifacts by stage)."""
    run, both = Run.open("embedded", str(tmp_path_factory.mktemp("runs")), backbone=tiny_t5, **SMALL), (0, 1)
    return run, {
        "original": stages.original(run, TRAIN + UNSEEN, seeds=both),
        "approximate": stages.approximate(run, TRAIN, both),
        "optimize": stages.optimize(run, TRAIN, UNSEEN, seeds=both),
        "transfer": stages.transfer(run, TRAIN, UNSEEN, seeds=both),
        "controls": controls.controls(run, TRAIN, UNSEEN[:1], both),
        "landscape": landscapes.landscape(run, TRAIN, UNSEEN[0], extent=1.0, step=0.5, rows=6),
        "rescaled": controls.rescaled(run, TRAIN, UNSEEN[:1], both),
        "lengthened": controls.lengthened(run, TRAIN, UNSEEN[:1], both)}


def shapes(artifact) -> dict:
    return {name: tuple(t.shape) for name, t in artifact.tensors().items()}


def numel(run) -> dict:
    return {kind: run.delta(kind).numel for kind in KINDS}


def test_a_name_is_no_list_of_names(tmp_path, tiny_t5):
    run = Run.open("embedded", str(tmp_path), backbone=tiny_t5)
    for call in (lambda: stages.original(run, "qasc"), lambda: stages.original(run, ["qasc"], kinds="lora"),
                 lambda: stages.optimize(run, ["dream"], "qasc"),
                 lambda: stages.transfer(run, ["dream"], ["qasc"], kinds="lora")):
        with pytest.raises(ValueError, match=r"is '(qasc|lora)': give a list, \['(qasc|lora)'\]"):
            call()
    assert not (tmp_path / "embedded").exists() or not any((tmp_path / "embedded").iterdir())


def test_the_stages_go_by_their_names():
    assert set(stages.__all__) == {"Run", "original", "approximate", "optimize", "transfer", "landscape"}
    assert all(getattr(stages, name).__doc__ for name in stages.__all__)
    assert stages.landscape is landscapes.landscape


# ---- what the stages leave


def test_every_stage_leaves_the_documented_tensors_and_metrics(done):
    run, found = done
    n = numel(run)
    assert set(found["original"]) == {(t, k, s) for t in TRAIN + UNSEEN for k in KINDS for s in (0, 1)}
    for (_, kind, _), artifact in found["original"].items():
        assert shapes(artifact) == {"theta": (n[kind],)}
        assert set(artifact.metrics) == {"dev", "test", "best_step"}
        assert [set(line) for line in artifact.log()] == [{"step", "loss", "dev"}] * 2
        assert all(len(line["loss"]) == len(line["dev"]) == 1 for line in artifact.log()), \
            "each artifact logs its own column"
    for artifact in found["approximate"].values():
        assert shapes(artifact) == {name: shape for k in KINDS for name, shape in {
            f"up.{k}": (n[k], 3), f"down1.{k}": (3, n[k]), f"down2.{k}": (3, 3), f"I.{k}": (1, 3)}.items()}
    for artifact in found["optimize"].values():
        assert shapes(artifact) == {"I": (3,), "kept": (2, 2, 3), "kept_scores": (2, 2)}
        assert all(len(line["dev"]) == 2 for line in artifact.log()), "one column per learning rate"
    assert set(found["optimize"]) == {(t, k, s) for t in UNSEEN for k in KINDS for s in (0, 1)}
    assert set(found["transfer"]) == {(t, s) for t in UNSEEN for s in (0, 1)}
    assert set(found["controls"]) == {(UNSEEN[0], 0), (UNSEEN[0], 1)}
    for artifact in found["controls"].values():
        assert set(artifact.metrics) == {"untuned", "chance", "majority", "train_solution", "own_vector", "mean_vector"}
        assert all(set(artifact.metrics[name]) == set(KINDS)
                   for name in ("train_solution", "own_vector", "mean_vector"))
    assert shapes(found["landscape"][0]) == {"scores": (3, 5, 5), "axis": (5,), "points": (3, 2)}
    values = [a.metrics[m] for stage in ("original", "optimize")
              for a in found[stage].values() for m in ("dev", "test")]
    assert all(0 <= v <= 1 for v in values)
    assert len(set(values)) > 3, "the tiny backbone must answer well enough to tell solutions apart"


def test_a_second_call_computes_nothing(done, monkeypatch):
    run, found = done

    def never(*args, **options):
        raise AssertionError("computed again")

    for module, name in ((workbench, "fit"), (scoring, "score_stack"), (solutions, "score_stack"),
                         (optimization, "score_stack"), (controls, "score_stack"), (landscapes, "score_stack"),
                         (scoring, "scores"), (baselines, "scores")):
        monkeypatch.setattr(module, name, never)
    both = (0, 1)
    again = {"original": stages.original(run, TRAIN + UNSEEN, seeds=both),
             "approximate": stages.approximate(run, TRAIN, both),
             "optimize": stages.optimize(run, TRAIN, UNSEEN, seeds=both),
             "transfer": stages.transfer(run, TRAIN, UNSEEN, seeds=both),
             "controls": controls.controls(run, TRAIN, UNSEEN[:1], both),
             "landscape": landscapes.landscape(run, TRAIN, UNSEEN[0], extent=1.0, step=0.5, rows=6),
             "rescaled": controls.rescaled(run, TRAIN, UNSEEN[:1], both),
             "lengthened": controls.lengthened(run, TRAIN, UNSEEN[:1], both)}
    assert {s: {k: a.id for k, a in part.items()} for s, part in again.items()} \
        == {s: {k: a.id for k, a in part.items()} for s, part in found.items()}
    with pytest.raises(AssertionError, match="computed again"):
        stages.transfer(run, TRAIN, UNSEEN, seeds=(2,))


def test_original_scores_are_those_of_the_saved_solution(done):
    run, found = done
    for (task, kind, seed), artifact in list(found["original"].items())[::5]:
        theta = artifact.tensors()["theta"]
        assert not torch.equal(theta, run.start(kind))
        for split, key in (("dev", "dev"), ("test", "test")):
            assert evaluation.scores(run.backbone, [(run.delta(kind), theta)], [run.data(task, seed)], split) \
                == [pytest.approx(artifact.metrics[key])]


def test_training_vectors_are_the_down_projections_of_the_solutions(done):
    run, found = done
    for seed, artifact in found["approximate"].items():
        saved = artifact.tensors()
        for kind in KINDS:
            offset = found["original"][TRAIN[0], kind, seed].tensors()["theta"] - run.start(kind)
            by_hand = saved[f"down2.{kind}"] @ torch.tanh(saved[f"down1.{kind}"] @ offset)
            torch.testing.assert_close(saved[f"I.{kind}"][0], by_hand, atol=1e-5, rtol=1e-4)


def test_the_vector_kept_is_the_first_best_on_dev_and_scores_as_said(done):
    run, found = done
    some = False
    for (task, kind, seed), artifact in found["optimize"].items():
        saved = artifact.tensors()
        flat = saved["kept_scores"].flatten()
        best = min(i for i in range(4) if flat[i] == flat.max())
        assert torch.equal(saved["I"], saved["kept"].view(4, 3)[best])
        assert artifact.metrics["dev"] == flat.max().item()
        some |= best > 0
        theta = run.start(kind) + found["approximate"][seed].tensors()[f"up.{kind}"] @ saved["I"]
        assert evaluation.scores(run.backbone, [(run.delta(kind), theta)], [run.data(task, seed)], "test") \
            == [pytest.approx(artifact.metrics["test"])]
    assert some, "somewhere another candidate than the first must have won, else nothing was selected"


def test_transfer_maps_the_source_vector_up_by_the_targets_projection(done):
    run, found = done
    chosen = set()
    for (task, seed), artifact in list(found["transfer"].items())[:2]:
        mine = run.data(task, seed)
        for source in KINDS:
            kept = found["optimize"][task, source, seed].tensors()["kept"].view(4, 3)
            for target in KINDS:
                up = found["approximate"][seed].tensors()[f"up.{target}"]
                at = [(run.delta(target), run.start(target) + up @ v) for v in kept]
                dev = [evaluation.scores(run.backbone, [one], [mine], "dev")[0] for one in at]
                best = dev.index(max(dev))
                assert artifact.metrics["dev"][source][target] == pytest.approx(max(dev))
                assert artifact.metrics["chosen"][source][target] == list(divmod(best, 2)), \
                    "checkpoint and learning rate, the first best on dev"
                assert artifact.metrics["test"][source][target] \
                    == pytest.approx(evaluation.scores(run.backbone, [at[best]], [mine], "test")[0])
                chosen.add(best)
    assert len(chosen) > 1


def test_transfer_to_itself_is_the_optimisation_again(done):
    _, found = done
    for (task, seed), artifact in found["transfer"].items():
        for kind in KINDS:
            own = found["optimize"][task, kind, seed].metrics
            assert artifact.metrics["dev"][kind][kind] == pytest.approx(own["dev"])
            assert artifact.metrics["test"][kind][kind] == pytest.approx(own["test"])


def test_controls_by_hand(done):
    run, found = done
    artifact, saved, mine = (
        found["controls"]["rotten_tomatoes", 1], found["approximate"][1].tensors(), run.data("rotten_tomatoes", 1))
    centre = sum(saved[f"I.{k}"][0] for k in KINDS) / 3
    for kind in KINDS:
        candidates = {"train_solution": found["original"][TRAIN[0], kind, 1].tensors()["theta"],
                      "own_vector": run.start(kind) + saved[f"up.{kind}"] @ saved[f"I.{kind}"][0],
                      "mean_vector": run.start(kind) + saved[f"up.{kind}"] @ centre}
        for name, theta in candidates.items():
            assert evaluation.scores(run.backbone, [(run.delta(kind), theta)], [mine], "test") \
                == [pytest.approx(artifact.metrics[name][kind])]
    answers = [t[0] for t in mine.train.targets]
    word = max(set(answers), key=answers.count)
    assert artifact.metrics["majority"] == pytest.approx(tasks.score("rotten_tomatoes", [word] * 24, mine.test.targets))
    assert artifact.metrics["untuned"] == pytest.approx(evaluation.scores(run.backbone, [], [mine], "test")[0])
    assert 0.3 < artifact.metrics["chance"] < 0.7


def test_lengthened_by_hand(done):
    """Compute by hand: the training task's solution, times the one factor that dev chooses.

    With the factor 1 it is the control that tunes nothing."""
    run, found = done
    factors, chosen = controls.FACTORS, set()
    for (task, seed), artifact in found["lengthened"].items():
        mine = run.data(task, seed)
        for kind in KINDS:
            start, theta = run.start(kind), found["original"][TRAIN[0], kind, seed].tensors()["theta"]

            def score(f, split, kind=kind, start=start, theta=theta, mine=mine):
                return evaluation.scores(
                    run.backbone, [(run.delta(kind), start + f * (theta - start))], [mine], split)[0]
            m = {name: of[kind] for name, of in artifact.metrics.items()}
            assert m["dev"] == pytest.approx([score(f, "dev") for f in factors])
            assert m["factor"] == controls.fitted(m["dev"])
            assert m["test"] == pytest.approx(score(m["factor"], "test"))
            assert found["controls"][task, seed].metrics["train_solution"][kind] == pytest.approx(score(1.0, "test"))
            chosen.add(m["factor"])
    assert len(chosen) > 1, "the tiny backbone must tell lengths apart"


def test_of_several_solutions_the_best_as_it_is_is_made_longer(done, monkeypatch):
    run, found = done
    theta = [found["original"][task, "lora", 0].tensors()["theta"] - run.start("lora")
             for task in (TRAIN[0], UNSEEN[0])]
    asked = []
    for module in (controls, scoring):
        monkeypatch.setattr(module, "score_stack", lambda run, delta, thetas, datas, split: (
            asked.append(thetas) or ([0.2, 0.7] + 5 * [0.1])[:len(thetas)]))
    fit = controls.length_fitted(run, {"lora": torch.stack(theta)}, run.data(UNSEEN[1], 0))
    assert [len(thetas) for thetas in asked] == [2, 7, 1]
    assert fit["factor"] == {"lora": controls.FACTORS[1]}
    torch.testing.assert_close(asked[2][0], run.start("lora") + controls.FACTORS[1] * theta[1])


@pytest.mark.parametrize("dev, factor", [
    ([1, 1, 1, 1, 1, 1, 1], 1.0), ([0, 0, 0, 0, 0, 0, 1], 2.0), ([1, 0, 1, 0, 0, 0, 1], 2 ** (-1 / 3))])
def test_of_equal_lengths_the_nearest_to_its_own_is_taken(dev, factor):
    assert controls.fitted(dev) == pytest.approx(factor)


def test_rescaled_by_hand(done):
    """Compute by hand: the source's best vector, times a factor, through the target's map.

    The factor is the best on dev and, among equals, the nearest to 1."""
    run, found = done
    factors, chosen = controls.FACTORS, set()
    for (task, seed), artifact in found["rescaled"].items():
        mine = run.data(task, seed)
        for source, target in ((s, t) for s in KINDS for t in KINDS):
            best, up = (found["optimize"][task, source, seed].tensors()["I"],
                        found["approximate"][seed].tensors()[f"up.{target}"])

            def score(f, split, target=target, best=best, up=up, mine=mine):
                return evaluation.scores(
                    run.backbone, [(run.delta(target), run.start(target) + f * (up @ best))], [mine], split)[0]
            dev, m = ([score(f, "dev") for f in factors],
                      {name: of[source][target] for name, of in artifact.metrics.items()})
            assert m["dev"] == pytest.approx(dev)
            assert m["factor"] == min((f for f, d in zip(factors, m["dev"], strict=True) if d == max(m["dev"])),
                                      key=lambda f: abs(math.log(f)))
            assert m["test"] == pytest.approx(score(m["factor"], "test"))
            assert m["plain"] == pytest.approx(score(1.0, "test"))
            chosen.add(m["factor"])
    assert len(chosen) > 1
    assert factors[0] == 0.5
    assert factors[3] == 1
    assert factors[-1] == 2


def test_centroid_by_hand(done):
    run, found = done
    artifact, = controls.centroid(run, TRAIN, (1,)).values()
    saved, mine = found["approximate"][1].tensors(), run.data(TRAIN[0], 1)
    centre = sum(saved[f"I.{k}"][0] for k in KINDS) / 3
    for kind in KINDS:
        at = (run.delta(kind), run.start(kind) + saved[f"up.{kind}"] @ centre)
        assert evaluation.scores(run.backbone, [at], [mine], "test") == [pytest.approx(artifact.metrics["test"][kind])]


@pytest.mark.parametrize("task, options", [
    ("qasc", 8), ("superglue-copa", 2), ("quarel", 2), ("glue-mnli", 3), ("blimp-anaphor_number_agreement", 2)])
def test_chance_knows_what_can_be_answered(open_run, task, options):
    run = open_run(caps={"train": 20, "dev": 10, "test": 200})
    opened = baselines.answers_open(run, task, 0)
    assert {len(o) for o in opened} == {options}
    assert all(t[0] in o for o, t in zip(opened, run.data(task, 0).test.targets, strict=True)), \
        "the right answer is among them"
    assert baselines.chance(run, run.data(task, 0), 0) == pytest.approx(1 / options, abs=0.02)


def test_chance_is_of_the_rows_that_are_reported_on(open_run):
    """Chance on a training task is the same whatever rows the unseen tasks are reported on."""
    run, spare = (open_run(caps={"train": 20, "dev": 10, "test": None}, report_on=on) for on in ("test", "spare"))
    assert baselines.chance(spare, spare.data("glue-sst2", 0), 0) == baselines.chance(run, run.data("glue-sst2", 0), 0)
    mine = spare.data("rotten_tomatoes", 0)
    assert len(baselines.answers_open(spare, "rotten_tomatoes", 0)) \
        == len(mine.test) != len(run.data("rotten_tomatoes", 0).test)
    assert 0 < baselines.chance(spare, mine, 0) < 1


def test_a_line_has_no_plane(open_run):
    run = open_run(y=1)
    with pytest.raises(ValueError, match="y=1 is not allowed for a landscape"):
        planes.drawn(run, [(TRAIN, UNSEEN[0])], 0, 6)
    assert not list(run.store.base.glob("*/*")), "said before anything is computed"


def test_what_cannot_be_a_subspace_is_refused_before_anything_is_trained(open_run):
    run = open_run()
    most = min(run.delta(k).numel for k in KINDS)
    with pytest.raises(ValueError, match=f"y={most + 1} is not allowed: at most {most}, the number of parameters"):
        open_run(y=most + 1)
    for train, stage in product(([], "glue-sst2"), (stages.approximate, shared.shared)):
        with pytest.raises(ValueError, match="needs a list of at least one training task"):
            stage(run, train)
    with pytest.raises(ValueError, match="unknown delta 'bitfit'; allowed: adapter, lora, prefix, finetune"):
        stages.original(run, TRAIN, ["bitfit"])
    assert not list(run.store.base.glob("*/*/metrics.json"))


@pytest.mark.parametrize("call, message", [
    (lambda run: stages.original(run, TRAIN, ["lora", "bitfit"]),
     "unknown delta 'bitfit'; allowed: adapter, lora, prefix, finetune$"),
    (lambda run: stages.optimize(run, TRAIN, UNSEEN, ["lora", "finetune"]),
     "unknown delta 'finetune'; allowed: adapter, lora, prefix$"),
    (lambda run: stages.optimize(run, TRAIN, UNSEEN, up="mine"),
     "unknown up-projection 'mine'; allowed: trained, random"),
    (lambda run: stages.transfer(run, TRAIN, UNSEEN, ["bitfit"]),
     "unknown delta 'bitfit'; allowed: adapter, lora, prefix$"),
    (lambda run: shared.optimize(run, TRAIN, UNSEEN, up="mine"),
     "unknown up-projection 'mine'; allowed: trained, random"),
    *((lambda run, stage=stage: stage(run, TRAIN, ["rotten"]), "no task 'rotten'; the nearest")
      for stage in (stages.optimize, stages.transfer, controls.controls, controls.lengthened, controls.rescaled,
                    shared.optimize, shared.transfer, shared.untuned, shared.lengthened)),
    (lambda run: landscapes.landscape(run, TRAIN, "rotten"), "no task 'rotten'; the nearest"),
    (lambda run: landscapes.landscape(run, TRAIN, UNSEEN[0], rows=-1),
     "rows=-1 is not allowed; allowed: whole numbers from 1"),
    *((lambda run, seeds=seeds: stages.original(run, TRAIN, seeds=seeds),
       "seed .* is not allowed; allowed: whole numbers from 0 to 2147483647")
      for seeds in ([True], [-1], [1.5], [2**31])),
    (lambda run: stages.original(run, TRAIN, seeds=0),
     "seeds=0 is not a list; allowed: a list of whole numbers from 0 to 2147483647"),
    *((lambda run, of=of: landscapes.landscape(run, TRAIN, UNSEEN[0], **of),
       "step must be above zero and extent a whole number of steps")
      for of in ({"extent": 1.0, "step": 0.4}, {"extent": 0.1}, {"step": 0.0})),
])
def test_a_wrong_name_is_refused_before_anything_is_trained(open_run, monkeypatch, call, message):
    monkeypatch.setattr(workbench, "fit", lambda *args, **options: pytest.fail("something is trained"))
    with pytest.raises(ValueError, match=message):
        call(open_run())


@pytest.mark.parametrize("task, number", [
    ("sciq", 4), ("quail", 4), ("race-high", 4), ("ai2_arc", 4), ("cosmos_qa", 4)])
def test_options_are_read_wherever_they_stand(task, number, mirror):
    """On real rows, options are read before a long article, when written without blanks, and when numbered."""
    rows = tasks.rows(task, "train", "mirror", mirror)[:200]
    opened = [baselines.options(text) for text, _ in rows]
    assert {len(o) for o in opened} <= {number - 1, number, number + 1}
    assert all(set(targets) & set(o) for (_, targets), o in zip(rows, opened, strict=True))


def test_patience_counts_from_where_guessing_is_left(open_run, monkeypatch):
    """With `original_learnt`, a solution that only guesses is trained to the last step instead of being given up.

    Without it, the setting is in no artifact's configuration, so it names none."""
    monkeypatch.setattr(solutions, "score_stack", lambda run, delta, theta, datas, split: [0.5] * len(theta))
    given_up = dict(patience=1, steps=6, original_every=2)
    logs = {learnt: stages.original(open_run(**given_up, original_learnt=learnt),
                                    ["rotten_tomatoes"], ["lora"])["rotten_tomatoes", "lora", 0]
            for learnt in (0.0, 0.15)}
    assert {learnt: [line["step"] for line in a.log()] for learnt, a in logs.items()} == {0.0: [2, 4], 0.15: [2, 4, 6]}
    assert "original_learnt" not in logs[0.0].config
    assert logs[0.15].config["original_learnt"] == 0.15
    run = open_run()
    mine = run.data("rotten_tomatoes", 0)
    assert baselines.guessing(run, mine, 0) \
        == max(baselines.chance(run, mine, 0, split="dev"), baselines.majority(mine, "dev")) > 0.3


def test_landscape_by_hand(done):
    run, found = done
    saved, first = (found["landscape"][0].tensors(),
                    {k: found["optimize"]["rotten_tomatoes", k, 0].tensors()["I"] for k in KINDS})
    u, v = landscapes.plane(first["adapter"], first["prefix"], first["lora"])
    torch.testing.assert_close(torch.stack([u @ u, v @ v, u @ v]), torch.tensor([1.0, 1.0, 0.0]), atol=1e-5, rtol=0)
    for i, kind in enumerate(KINDS):
        torch.testing.assert_close(
            first["adapter"] + saved["points"][i, 0] * u + saved["points"][i, 1] * v, first[kind], atol=1e-4, rtol=1e-4)
    assert saved["axis"].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    some = run.data("rotten_tomatoes", 0).head(6)
    for n, kind in enumerate(KINDS):
        up = found["approximate"][0].tensors()[f"up.{kind}"]
        for i, j in ((0, 4), (2, 2), (4, 1)):
            theta = run.start(kind) + up @ (first["adapter"] + saved["axis"][i] * u + saved["axis"][j] * v)
            assert evaluation.scores(run.backbone, [(run.delta(kind), theta)], [some], "test") \
                == [pytest.approx(saved["scores"][n, i, j].item())]
    with pytest.raises(ValueError, match="lie on one line"):
        landscapes.plane(torch.zeros(3), torch.ones(3), 2 * torch.ones(3))


# ---- the objectives, by hand, one solution and one forward pass at a time


class Captured(Exception):
    pass


@pytest.fixture
def first_loss(monkeypatch):
    """Return a function for a stage's losses at step `at` and first scores. Its training loop is never entered."""
    def capture(stage, call, at=0):
        original = workbench.fit

        def fit(optimizer, loss, score, **options):
            if not options["label"].startswith(stage):
                return original(optimizer, loss, score, **options)
            raise Captured(loss(at).detach(), [round(x, 9) for x in score()])

        monkeypatch.setattr(workbench, "fit", fit)
        with pytest.raises(Captured) as found:
            call()
        monkeypatch.setattr(workbench, "fit", original)
        return found.value.args
    return capture


def task_loss(run, kind, theta, split, rows):
    with torch.no_grad(), deltas.applied(run.backbone.model, [(run.delta(kind), theta)]):
        return run.backbone.model(**data.collate([(split, rows)], torch.device("cpu"))).loss


@pytest.mark.parametrize("variant, at, draws, batch, spread", [
    ("paper", 0, 3, 4, 0.0), ("released", 3, 3, 4, 0.0), ("released", 1, 7, 1, 0.0),
    ("paper", 2, 3, 4, 5.0), ("released", 0, 3, 4, 5.0)])
def test_the_objective_of_approximate_by_hand(open_run, first_loss, variant, at, draws, batch, spread):
    """Compare one pass over the rows of all draws with a loop over them.

    A batch of 1 means single rows, as in the multi-task setting."""
    both, seeds = ["glue-sst2", "amazon_polarity"], (0, 1)
    run = open_run(variant=variant, approximate_draws=draws, approximate_batch=batch, approximate_spread=spread)
    solutions = stages.original(run, both, seeds=seeds)
    ours, dev = first_loss("approximate", lambda: stages.approximate(run, both, seeds), at)
    for i, seed in enumerate(seeds):
        maps = {k: [t[0] for t in Projection.start(numel(run)[k], 3, [seed], k).tensors()] for k in KINDS}
        total = 0.0
        aside = draw_spread(seed, at, draws, 3, spread)
        for (t, own), ratio, beside in zip(
                data.tasks_of_step(2, seed, at, draws), draw_ratios(seed, at, draws), aside, strict=True):
            task = both[t]
            rows = data.rows_of_step(48, task, seed, own, batch)
            offset = {k: solutions[task, k, seed].tensors()["theta"] - run.start(k) for k in KINDS}
            own = {k: maps[k][1] @ torch.tanh(maps[k][0] @ offset[k]) for k in KINDS}
            mixed = ratio[0] * own["adapter"] + ratio[1] * own["prefix"] + ratio[2] * own["lora"]
            for k in KINDS:
                up = maps[k][2]
                total += task_loss(
                    run, k, run.start(k) + up @ (mixed + beside), run.data(task, seed).train, rows) / draws
                if variant == "paper":
                    total += 10.0 * (up @ mixed - offset[k]).square().sum() / draws
                else:
                    total += 0.1 * (up @ own[k] - offset[k]).square().sum().sqrt() / draws
        assert ours[i].item() == pytest.approx(float(total), rel=1e-4)
        by_hand = []
        for task in both:  # dev: each delta at the centroid of the three vectors
            offset = {k: solutions[task, k, seed].tensors()["theta"] - run.start(k) for k in KINDS}
            centre = sum(maps[k][1] @ torch.tanh(maps[k][0] @ offset[k]) for k in KINDS) / 3
            by_hand += [evaluation.scores(run.backbone, [(run.delta(k), run.start(k) + maps[k][2] @ centre)],
                                          [run.data(task, seed)], "dev")[0] for k in KINDS]
        assert dev[i] == pytest.approx(sum(by_hand) / 6)


@pytest.mark.parametrize("start, spread", [("random", 0.0), ("train", 0.0), ("train", 0.3)])
def test_the_objective_of_optimize_by_hand(open_run, first_loss, start, spread):
    run = open_run(optimize_init=start, optimize_batch=5, optimize_spread=spread)
    subspaces = stages.approximate(run, TRAIN, (0, 1))
    ours, _ = first_loss("optimize", lambda: stages.optimize(run, TRAIN, UNSEEN[:1], ["lora"], (0, 1)), at=2)
    expected = []
    for seed in (0, 1):
        mine, saved = run.data(UNSEEN[0], seed), subspaces[seed].tensors()
        vector = (maps.mean_vector(subspaces[seed], "lora") if start == "train"
                  else maps.random_vector(3, UNSEEN[0], "lora", seed))
        assert torch.equal(vector, saved["I.lora"].mean(0)) == (start == "train")
        assert vector.shape == (3,)
        aside = draw_spread(seed, 2, 1, 3, spread)[0]
        loss = task_loss(run, "lora", run.start("lora") + saved["up.lora"] @ (vector + aside),
                         mine.train, data.rows_of_step(48, UNSEEN[0], seed, 2, 5))
        expected += [loss, loss]  # one for each learning rate, all from the same start and on the same rows
    torch.testing.assert_close(ours, torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_the_random_up_projection_is_a_control_of_its_own(done):
    run, found = done
    for kind in KINDS:
        own, noise = (maps.up_projection(run, found["approximate"][0], kind, up) for up in ("trained", "random"))
        torch.testing.assert_close(noise.norm(dim=0), own.norm(dim=0))
        assert torch.cosine_similarity(noise, own, dim=0).abs().max() < 0.5
    control, own = (stages.optimize(run, TRAIN, UNSEEN[:1], ["lora"], up=up)[UNSEEN[0], "lora", 0]
                    for up in ("random", "trained"))
    assert control.id != own.id
    assert control.config["up"] == "random"
    with pytest.raises(ValueError, match="unknown up-projection 'mine'; allowed: trained, random"):
        maps.up_projection(run, found["approximate"][0], "lora", "mine")


def test_several_training_tasks(open_run):
    run, both = open_run(), ["glue-sst2", "amazon_polarity"]
    subspace = stages.approximate(run, both)[0]
    assert all(shapes(subspace)[f"I.{k}"] == (2, 3) for k in KINDS)
    assert subspace.config["train"] == both
    found = stages.transfer(run, both, UNSEEN[:1])[UNSEEN[0], 0]
    assert set(found.metrics["test"]) == set(KINDS)
    assert set(controls.controls(run, both, UNSEEN[:1])[UNSEEN[0], 0].metrics["train_solution"]) == set(KINDS)


# ---- what determines an artifact


def identities(run, monkeypatch) -> dict[str, list[str]]:
    """The ids of all stages' artifacts, without computing any."""
    ids = {}

    def compute(run, stage, wanted, *rest):
        ids.setdefault(stage, set()).update(
            f"{stage}/{run.store.path(stage, *named).name}" for named in wanted.values())
        return {key: SimpleNamespace(id=f"{stage}/{run.store.path(stage, *named).name}", config=named[1])
                for key, named in wanted.items()}

    for module in (*STAGES, landscapes, workbench):
        monkeypatch.setattr(module, "compute", compute)
    stages.transfer(run, TRAIN, UNSEEN[:1])
    controls.controls(run, TRAIN, UNSEEN[:1])
    landscapes.landscape(run, TRAIN, UNSEEN[0])
    monkeypatch.undo()
    return {stage: sorted(found) for stage, found in ids.items()}


ALL = ["original", "approximate", "optimize", "transfer", "controls", "landscape"]
FROM = {"original": ALL, "approximate": ALL[1:], "optimize": ["optimize", "transfer", "landscape"]}


@pytest.mark.parametrize("stage, change", [
    ("original", {"original_lr": 0.031}), ("original", {"original_prefix_lr": 0.031}),
    ("original", {"original_batch": 7}), ("original", {"original_every": 4}),
    ("original", {"steps": 3}), ("original", {"patience": 2}),
    ("original", {"init_seed": 1}), ("original", {"max_length": 48}),
    ("original", {"adapter": {"bottleneck": 5}}), ("original", {"lora": {"rank": 5, "scale": 2.0}}),
    ("original", {"prefix": {"length": 20, "hidden": 8, "reading": "natural"}}),
    ("original", {"caps": {"train": 40, "dev": 20, "test": 24}}),
    ("approximate", {"y": 4}), ("approximate", {"variant": "paper"}), ("approximate", {"ratio": 0.37}),
    ("approximate", {"approximate_lr": 0.037}), ("approximate", {"approximate_every": 4}),
    ("approximate", {"approximate_batch": 5}), ("approximate", {"approximate_draws": 5}),
    ("approximate", {"approximate_spread": 0.5}),
    ("optimize", {"optimize_lrs": (1.0,)}), ("optimize", {"optimize_every": 4}), ("optimize", {"optimize_batch": 5}),
    ("optimize", {"optimize_init": "train"}), ("optimize", {"optimize_spread": 0.3}),
], ids=lambda value: value if isinstance(value, str) else "+".join(value))
def test_every_setting_names_its_artifacts_and_those_after_them(open_run, monkeypatch, stage, change):
    before, after = (identities(open_run(**c), monkeypatch) for c in ({}, change))
    changed = [s for s in ALL if before[s] != after[s]]
    assert changed == FROM[stage], f"{change} must change {FROM[stage]} and nothing before"


def test_backbone_source_and_precision_name_every_artifact(open_run, monkeypatch, tmp_path):
    before = identities(open_run(), monkeypatch)
    other = tiny.save(tmp_path / "other", vocabulary=600, seed=1)
    for change in ({"backbone": other}, {"dtype": "bfloat16"}):
        after = identities(open_run(**change), monkeypatch)
        assert not any(set(before[s]) & set(after[s]) for s in ALL)


def test_how_solutions_are_stacked_and_where_they_run_names_nothing(open_run, monkeypatch):
    assert identities(open_run(), monkeypatch) == identities(
        open_run(stack=3, device="auto", approximate_spread=0.0, optimize_spread=0.0), monkeypatch)


# ---- stacking


@pytest.mark.parametrize("kind", KINDS)
def test_a_solution_does_not_depend_on_its_company(open_run, kind):
    alone = stages.original(open_run("alone", stack=1), ["glue-sst2"], [kind])["glue-sst2", kind, 0]
    stacked = stages.original(open_run("stacked"), TRAIN + UNSEEN, [kind], (0, 1))["glue-sst2", kind, 0]
    assert alone.id == stacked.id
    assert alone.metrics == pytest.approx(stacked.metrics)
    assert alone.provenance["stack"] == [f"glue-sst2-{kind}-s0"]
    assert {f"glue-sst2-{kind}-s{seed}" for seed in (0, 1)} < set(stacked.provenance["stack"])
    theta, other = alone.tensors()["theta"], stacked.tensors()["theta"]
    moved = (theta - open_run().start(kind)).norm()
    assert (theta - other).norm() < 0.01 * moved, "equal up to rounding, which padding to other lengths brings in"


def test_subspaces_do_not_depend_on_their_company(open_run):
    alone = stages.optimize(open_run("alone", stack=1), TRAIN, UNSEEN[:1], ["adapter"])
    run = open_run("stacked")
    stacked = stages.optimize(run, TRAIN, UNSEEN, ["adapter"], (0, 1))
    a, b = (found[UNSEEN[0], "adapter", 0].tensors()["kept"] for found in (alone, stacked))
    torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)


def test_a_stack_is_what_the_memory_holds(open_run, monkeypatch):
    """With little memory, the same solutions and subspaces are trained in smaller stacks; with none, one by one."""
    def stacked(root, free):
        monkeypatch.setattr(memory, "free", lambda device: free)
        sizes, fit = [], workbench.fit
        monkeypatch.setattr(workbench, "fit", lambda optimizer, *rest, **options: (
            sizes.append(len(optimizer.tensors[0])) or fit(optimizer, *rest, **options)))
        found = stages.optimize(open_run(root), TRAIN, UNSEEN, ["adapter"], (0, 1, 2))
        monkeypatch.setattr(workbench, "fit", fit)
        return sizes, found
    run = open_run()
    each = memory.solution(run.backbone.config, run.delta("adapter"), run.profile.original_batch,
                           *run.widest([run.data(TRAIN[0], 0)]))
    (whole, found), (some, alike), (none, alone) = (
        stacked("all", 2**36), stacked("some", 2.5 * each / memory.SHARE), stacked("none", 0))
    assert whole[3] == 3, "three subspaces, and more solutions"
    assert max(whole) > 3
    assert 1 <= max(some) <= 4
    assert len(some) > len(whole)
    assert set(none) == {1, len(run.profile.optimize_lrs)}, "the rates of one vector stay together"
    for other in (alike, alone):
        assert [a.id for a in other.values()] == [a.id for a in found.values()]
        for key, artifact in other.items():
            torch.testing.assert_close(artifact.tensors()["kept"], found[key].tensors()["kept"], rtol=0.05, atol=0.05)


def test_the_simplified_pipeline_is_cut_to_the_memory_too(open_run, monkeypatch):
    runs, counted = [], []
    monkeypatch.setattr(memory, "subspace", lambda *given, real=memory.subspace, **more: (
        counted.append((given[3], more)) or real(*given, **more)))
    for free in (2**36, 0):
        monkeypatch.setattr(memory, "free", lambda device, free=free: free)
        sizes, fit = [], workbench.fit
        with monkeypatch.context() as patch:
            patch.setattr(workbench, "fit", lambda optimizer, *rest, **options: (
                sizes.append(len(optimizer.tensors[0])) or fit(optimizer, *rest, **options)))  # noqa: B023
            found = shared.shared(open_run(str(free), shared_steps=2, fastfood_steps=2, shared_every=2),
                                  TRAIN, seeds=(0, 1))
        runs.append((sizes, [a.id for a in found.values()]))
    assert runs[0][0] == [2]
    assert runs[1][0] == [1, 1]
    assert runs[0][1] == runs[1][1]
    assert counted == 2 * [(0, {"down": False})], "it has no solutions, and nothing to take them down"


def test_what_fits_is_a_round_number_and_never_none(monkeypatch):
    assert memory.free(torch.device("cpu")) > 2**20
    for free, n in ((0, 1), (1, 1), (2, 2), (3, 3), (5, 4), (6, 6), (11, 8), (12, 12), (17, 16), (25, 24), (1000, 768)):
        monkeypatch.setattr(memory, "free", lambda device, free=free: free / memory.SHARE + 0.01)
        assert memory.fitting(1.0, torch.device("cpu")) == n


def test_stacks_are_as_equal_as_can_be():
    assert workbench.stacks(list(range(7)), 3, fits=lambda key: 2) == [[0], [1, 2], [3, 4], [5, 6]]
    assert workbench.stacks(list(range(7)), 3) == [[0, 1], [2, 3], [4, 5, 6]]
    assert workbench.stacks([1, 2], 0) == [[1], [2]]
    assert workbench.stacks([], 3) == []


def test_answers_of_a_stack_are_those_of_its_members(done, monkeypatch):
    run, found = done
    keys = [("rotten_tomatoes", "lora", 0), ("rotten_tomatoes", "lora", 1), ("amazon_polarity", "lora", 0)]
    theta, mine = (torch.stack([found["original"][k].tensors()["theta"] for k in keys]),
                   [run.data(t, s) for t, _, s in keys])
    theta += 0.3 * torch.randn(theta.shape, generator=torch.Generator().manual_seed(0))  # three that certainly differ
    alone = [evaluation.predict(run.backbone, [(run.delta("lora"), theta[i])], [d.test], [8])[0]
             for i, d in enumerate(mine)]
    assert len({tuple(a) for a in alone}) == 3
    assert len(set(sum(alone, []))) > 5
    for cells in (2**24, 32 * 40 * 3, 1):  # in one piece, in several, row by row
        monkeypatch.setattr(evaluation, "CELLS_AT_ONCE", cells)
        assert evaluation.predict(
            run.backbone, [(run.delta("lora"), theta)], [d.test for d in mine], [8] * len(mine)) == alone
    most = [8, 2, 3]
    cut = [evaluation.predict(run.backbone, [(run.delta("lora"), theta[i])], [d.test], [n])[0]
           for i, (d, n) in enumerate(zip(mine, most, strict=True))]
    assert evaluation.predict(
        run.backbone, [(run.delta("lora"), theta)], [d.test for d in mine], most) == cut != alone, \
        "each ends where it would alone"
    with pytest.raises(ValueError, match="the splits of a stack must have equal lengths"):
        evaluation.predict(run.backbone, [(run.delta("lora"), theta[:2])], [mine[0].test, mine[0].dev], [8, 8])


def test_the_longest_answer_of_any_part_can_be_given(open_run):
    mine = open_run().data("rotten_tomatoes", 0)
    longer = replace(mine, dev=replace(mine.dev, labels=[*mine.dev.labels[:-1], np.arange(17)]))
    assert longer.longest_answer == 17 > mine.longest_answer \
        == max(len(row) for part in (mine.train, mine.dev, mine.test) for row in part.labels)


def test_a_heads_longest_answer_is_found_among_its_own_rows(open_run):
    class Labels(list):
        read = 0

        def __iter__(self):
            Labels.read += 1
            return super().__iter__()

    whole = open_run().data("rotten_tomatoes", 0)
    mine = replace(whole, train=replace(whole.train, labels=Labels(whole.train.labels)))
    assert [mine.head(rows, "dev").longest_answer for rows in (2, 5, 9)] == 3 * [whole.longest_answer]
    assert Labels.read == 1, "as every validation does"


def test_a_decoder_deeper_than_its_encoder_answers(tmp_path):
    run = Run.open("embedded", str(tmp_path / "runs"),
                   backbone=tiny.save(tmp_path, vocabulary=600, num_layers=2, num_decoder_layers=3), **SMALL)
    theta = torch.stack([run.start("prefix")] * 2)
    test = run.data("rotten_tomatoes", 0).test
    said = evaluation.predict(run.backbone, [(run.delta("prefix"), theta)], [test, test], [4, 4])
    assert said[0] == said[1]
    assert len(said[0]) == len(test)


def test_pieces_hold_no_more_than_they_may():
    lengths = [5, 1, 9, 3, 3, 40, 2]
    cut = list(evaluation.pieces(lengths, 12))
    assert sorted(r for piece in cut for r in piece) == list(range(7)), "every row once"
    assert all(len(p) == 1 or len(p) * max(lengths[r] for r in p) <= 12 for p in cut)
    assert len(cut) < 7
    assert list(evaluation.pieces([], 12)) == []


def test_losses_of_groups_are_the_models_own(done):
    run, _ = done
    splits = [run.data(t, 0).train for t in UNSEEN]
    rows = [(splits[0], [0, 1, 2]), (splits[1], [5, 6, 7])]
    together = evaluation.losses(run.backbone.model, data.collate(rows, torch.device("cpu")), 2)
    alone = [run.backbone.model(**data.collate([one], torch.device("cpu"))).loss for one in rows]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-5)


def test_the_rows_of_several_tasks_are_blended_equally():
    dealt = [data.tasks_of_step(5, 0, step, 3) for step in range(20)]
    turns = sum(dealt, [])
    assert sorted(turns) == [(t, own) for t in range(5) for own in range(12)], \
        "every round has each task once, and its own next rows"
    rounds = [[t for t, own in turns if own == r] for r in range(12)]
    assert len({tuple(r) for r in rounds}) > 1
    assert turns != sum((data.tasks_of_step(5, 1, step, 3) for step in range(20)), [])
    assert data.tasks_of_step(1, 3, 7, 2) == [(0, 14), (0, 15)], "one task: its rows in their own order"


def test_rows_are_dealt_by_task_seed_and_step_alone():
    epoch = [data.rows_of_step(12, "qasc", 0, s, 4) for s in range(3)]
    assert sorted(r for rows in epoch for r in rows) == list(range(12)), "an epoch sees every row once"
    assert data.rows_of_step(12, "qasc", 0, 3, 4) != epoch[0], "the next one in another order"
    assert data.rows_of_step(12, "qasc", 1, 0, 4) != epoch[0] != data.rows_of_step(12, "dream", 0, 0, 4)
    assert len(data.rows_of_step(3, "qasc", 0, 0, 8)) == 8, "a batch may be larger than the data"


# ---- killed and resumed


CALLS = {
    "original": lambda run: stages.original(run, TRAIN + UNSEEN, ["prefix"], (0, 1)),
    "approximate": lambda run: stages.approximate(run, TRAIN, (0, 1)),
    "optimize": lambda run: stages.optimize(run, TRAIN, UNSEEN, ["lora"], (0, 1)),
    "landscape": lambda run: landscapes.landscape(run, TRAIN, UNSEEN[0], extent=1.0, step=0.5, rows=6),
}


def same(found, other):
    assert {k: a.id for k, a in found.items()} == {k: a.id for k, a in other.items()}
    for key, artifact in found.items():
        assert artifact.metrics == other[key].metrics
        assert artifact.log() == other[key].log()
        mine, theirs = artifact.tensors(), other[key].tensors()
        assert set(mine) == set(theirs)
        assert all(torch.equal(mine[n], theirs[n]) for n in mine)


def die(monkeypatch, stage, after):
    """Make the scoring after the first `after` ones within `stage` raise, as a kill would end it."""
    modules, count = [landscapes] if stage == "landscape" else [solutions, optimization, scoring], [0]
    real, fit = scoring.score_stack, workbench.fit
    inside = [stage == "landscape"]

    def score_stack(*args):
        count[0] += inside[0]
        if count[0] > after:
            raise KeyboardInterrupt
        return real(*args)

    def marked(*args, **options):
        inside[0] = options["label"].startswith(stage)
        return fit(*args, **options)

    for module in modules:
        monkeypatch.setattr(module, "score_stack", score_stack)
    if stage != "landscape":
        monkeypatch.setattr(workbench, "fit", marked)


@pytest.mark.parametrize("stage, after", [("original", 1), ("approximate", 3), ("optimize", 1), ("landscape", 7)])
def test_a_killed_stage_goes_on_where_it_was(open_run, monkeypatch, stage, after):
    steps, loss = [], compiled.losses
    count = lambda *args: (steps.append(1), loss(*args))[1]  # noqa: E731
    monkeypatch.setattr(compiled, "losses", count)
    whole = CALLS[stage](open_run("whole"))
    monkeypatch.undo()
    needed = len(steps)
    run = open_run("killed")
    die(monkeypatch, stage, after)
    with pytest.raises(KeyboardInterrupt):
        CALLS[stage](run)
    monkeypatch.undo()
    checkpoints = list((run.store.base / ".partial" / stage).rglob("checkpoint.safetensors"))
    assert len(checkpoints) == 1
    assert not list((run.store.base).glob(f"{stage}/*/metrics.json"))
    steps.clear()
    monkeypatch.setattr(compiled, "losses", count)
    same(CALLS[stage](run), whole)
    upstream = {"original": 0, "approximate": 12, "optimize": 16, "landscape": needed}[stage]
    assert len(steps) == needed - upstream - 2 * (stage != "landscape"), \
        "neither the stages before nor the first two of four steps are done again"
    assert not list((run.store.base / ".partial" / stage).rglob("*.safetensors")), \
        "checkpoints go once the work is done"


@pytest.mark.parametrize("stage, first, then", [
    ("original", (TRAIN + UNSEEN, (0, 1)), (TRAIN, (0, 1))),
    ("original", (TRAIN, (0, 1)), (TRAIN, (0, 2))),
    ("approximate", (TRAIN, (0, 1)), (TRAIN, (0,))), ("approximate", (TRAIN, (0, 1)), (TRAIN, (0, 2)))])
def test_the_checkpoint_of_another_stack_is_not_taken_for_ones_own(open_run, monkeypatch, stage, first, then):
    def call(run, tasks, seeds):
        return (stages.original(run, tasks, ["adapter"], seeds) if stage == "original"
                else stages.approximate(run, tasks, seeds))

    whole = call(open_run("whole"), *then)
    run = open_run("killed")
    die(monkeypatch, stage, 1 if stage == "original" else 3)  # in the second validation
    with pytest.raises(KeyboardInterrupt):
        call(run, *first)
    monkeypatch.undo()
    for key, artifact in call(run, *then).items():
        assert artifact.id == whole[key].id
        assert artifact.metrics == pytest.approx(whole[key].metrics)
        for name, tensor in artifact.tensors().items():
            torch.testing.assert_close(tensor, whole[key].tensors()[name], rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("where", ["in the second stack", "between the saves of the first"])
def test_a_stack_goes_on_as_it_was_cut(open_run, monkeypatch, where):
    def call(run):
        return stages.original(run, TRAIN + UNSEEN, ["adapter"], (0, 1))

    stacks, fit = [], workbench.fit

    def seen(optimizer, *args, folder, **options):
        stacks.append((len(optimizer.tensors[0]), (folder / "checkpoint.safetensors").exists()))
        return fit(optimizer, *args, folder=folder, **options)

    def stop(count):  # ends the process the `count`-th time it is called
        calls = []

        def wrapped(*args, **options):
            calls.append(1)
            if len(calls) == count:
                raise KeyboardInterrupt
            return kept(*args, **options)
        return wrapped

    whole = call(open_run("whole", stack=2))
    run = open_run("killed", stack=2)
    module, name, count = (training, "save_checkpoint", 4) if where.startswith("in") else (solutions, "save", 2)
    kept = getattr(module, name)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, stop(count))
        with pytest.raises(KeyboardInterrupt):
            call(run)
    assert len(run.store.all("original")) == (2 if where.startswith("in") else 1)
    assert len(run.store.begun("original")) == 1
    monkeypatch.setattr(workbench, "fit", seen)
    same(call(run), whole)
    assert stacks == ([(2, True), (2, False)] if where.startswith("in") else [(2, True), (2, False), (2, False)]), \
        "the begun one first, as it was"
    assert not run.store.begun("original")
    assert not list((run.store.base / ".partial" / "original").rglob("*.safetensors"))


KILLED = """
import json, os, signal, sys
import torch
from unidelta import stages
torch.set_num_threads(int(sys.argv[4]))
options = json.loads(sys.argv[3])
run = stages.Run.open("embedded", sys.argv[2], backbone=sys.argv[1], **options)
from unidelta import training
save, count = training.save_checkpoint, [0]
def save_and_die(folder, *rest):
    save(folder, *rest)
    count[0] += "approximate" in str(folder)
    if count[0]:
        os.kill(os.getpid(), signal.SIGKILL)
training.save_checkpoint = save_and_die
stages.transfer(run, ["glue-sst2"], ["rotten_tomatoes"])
"""


def test_a_process_that_is_killed_outright_loses_nothing(open_run, tiny_t5, tmp_path):
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in SMALL.items()}
    lib = os.pathsep.join(p for p in (str(Path(stages.__file__).parents[1]), os.environ.get("PYTHONPATH")) if p)
    command = [sys.executable, "-c", KILLED, tiny_t5, str(tmp_path / "killed"), json.dumps(options),
               str(torch.get_num_threads())]
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": lib}, capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr[-2000:]
    run, whole = open_run("killed"), open_run("whole")
    assert len(run.store.all("original")) == 3
    assert not run.store.all("approximate")
    same(stages.transfer(run, TRAIN, UNSEEN[:1]), stages.transfer(whole, TRAIN, UNSEEN[:1]))
    same(stages.approximate(run, TRAIN), stages.approximate(whole, TRAIN))


# ---- real rows


def test_the_same_stages_on_real_rows(tiny_t5, mirror, tmp_path):
    train, unseen = "glue-sst2", "rotten_tomatoes"
    run = Run.open("mini", str(tmp_path), backbone=tiny_t5, mirror=str(mirror), steps=3,
                   caps={"train": 24, "dev": 6, "test": 8}, max_length=48, device="cpu")
    assert run.profile.source == "mirror"
    assert run.store.base.name == "mini"
    mine = run.data(unseen, 0)
    assert (len(mine.train), len(mine.dev), len(mine.test)) == (24, 6, 8)
    assert max(map(len, mine.train.inputs)) == 48
    real = {text for text, _ in tasks.rows(unseen, "validation", "mirror", mirror)}
    dev = tasks.load(unseen, source="mirror", mirror=mirror, seed=0, caps=run.profile.caps)["dev"]
    assert set(dev["input"][:]) <= {text.lstrip() for text in real}
    assert dev["targets"][:] == mine.dev.targets
    found = stages.transfer(run, [train], [unseen])[unseen, 0]
    assert set(found.metrics["test"]["lora"]) == set(KINDS)
    assert found.config["data"] == mine.fingerprint
    assert set(controls.controls(run, [train], [unseen])[unseen, 0].metrics["own_vector"]) == set(KINDS)
    embedded = Run.open("embedded", str(tmp_path), backbone=tiny_t5, **SMALL).data(unseen, 0)
    assert embedded.fingerprint != mine.fingerprint


def test_a_profile_names_its_folder(open_run):
    for name in profiles.PROFILES:
        assert open_run(profile=name, source="embedded").store.base.name == name


def test_every_stage_trains_at_its_own_rate_for_its_own_steps(open_run, monkeypatch):
    """Check what `fit` is given for every stage and method.

    That is the learning rates, the steps, the steps between validations, and the patience."""
    seen, real = {}, workbench.fit

    def fit(optimizer, loss, score, *, steps, every, patience=0, label, **options):
        stage, slug = label.split(" ")
        kind = next((k for k in (*KINDS, "finetune") if f"-{k}-" in slug), "all")
        seen[stage, kind] = (
            [lr.tolist() if isinstance(lr, torch.Tensor) else lr for lr in optimizer.lrs], steps, every, patience)
        return real(optimizer, loss, score, steps=steps, every=every, patience=patience, label=label, **options)

    monkeypatch.setattr(workbench, "fit", fit)
    run = open_run(original_lr=0.011, original_prefix_lr=0.012, finetune_lr=0.013,
                   original_steps=2, original_prefix_steps=3, finetune_steps=1, original_every=1,
                   approximate_lr=0.014, approximate_steps=2, approximate_every=1,
                   optimize_steps=3, optimize_lrs=(1.0, 5.0), patience=7)
    stages.original(run, TRAIN, ["finetune"])
    stages.optimize(run, TRAIN, UNSEEN, ["lora"])
    shared.shared(
        replace(run, profile=replace(run.profile, shared_steps=2, shared_every=1, shared_lr_I=0.1, shared_lr_up=0.2)),
        TRAIN, KINDS)
    assert seen == {
        ("original", "adapter"): ([0.011], 2, 1, 7), ("original", "lora"): ([0.011], 2, 1, 7),
        ("original", "prefix"): ([0.012], 3, 1, 7), ("original", "finetune"): ([0.013], 1, 1, 7),
        ("approximate", "all"): (9 * [0.014], 2, 1, 7), ("optimize", "lora"): ([[1.0, 5.0]], 3, 2, 0),
        ("shared", "all"): ([0.1, 0.2, 0.2, 0.2], 2, 1, 7)}


@pytest.mark.parametrize("pipeline", [approximation, shared])
def test_of_a_subspace_the_best_validation_is_kept(open_run, monkeypatch, pipeline):
    def subspace(root, **steps):
        run = open_run(root, shared_every=2, **steps)
        return (stages.approximate(run, TRAIN) if pipeline is approximation else shared.shared(run, TRAIN, KINDS))[0]

    first = subspace("first", approximate_steps=2, shared_steps=2)
    with monkeypatch.context() as patched:
        dev = iter([0.9, 0.1])
        patched.setattr(pipeline, "score_training", lambda *given: [next(dev)])
        best = subspace("best")
    assert (best.metrics["best_step"], best.metrics["dev"], len(best.log())) == (2, 0.9, 2)
    assert all(torch.equal(tensor, first.tensors()[name]) for name, tensor in best.tensors().items())


@pytest.mark.parametrize("asked", [(["amazon_polarity", "rotten_tomatoes"], (0,)), (["rotten_tomatoes"], (0, 1))],
                         ids=["tasks", "seeds"])
def test_what_goes_on_when_others_have_settled_keeps_its_own_rows(open_run, monkeypatch, asked):
    """The first of a stack is perfect at once and leaves it; the other trains as it would alone."""
    def scripted(run, delta, theta, datas, split):
        return [1.0 if d.fingerprint == settled else 0.5 for d in datas]

    monkeypatch.setattr(solutions, "score_stack", scripted)
    (tasks, seeds), run = asked, open_run("both")
    settled, last = run.data(tasks[0], 0).fingerprint, (tasks[-1], "lora", seeds[-1])
    both = stages.original(run, tasks, ["lora"], seeds)
    alone = stages.original(open_run("alone"), last[:1], ["lora"], last[2:])[last]
    assert [a.metrics["dev"] for a in both.values()] == [1.0, 0.5]
    assert [len(a.log()) for a in both.values()] == [1, 2]
    assert [line["loss"] for line in both[last].log()] \
        == [pytest.approx(line["loss"], rel=1e-4) for line in alone.log()]


def test_every_method_starts_where_the_profile_says(open_run):
    for seed in (0, 42):
        run = open_run(init_seed=seed)
        assert all(torch.equal(run.start(kind), run.delta(kind).init(seed)) for kind in KINDS)


def test_every_search_starts_elsewhere():
    """The start differs by task, delta and seed, and is drawn from N(0, 0.02)."""
    starts = [maps.random_vector(3, task, kind, seed) for task in UNSEEN for kind in KINDS for seed in (0, 1)]
    assert len({tuple(vector.tolist()) for vector in starts}) == len(starts)
    assert maps.random_vector(20_000, UNSEEN[0], "lora", 0).std().item() == pytest.approx(0.02, rel=0.03)


def test_every_seed_has_a_random_subspace_of_its_own(done):
    run, found = done
    one, other = (maps.up_projection(run, found["approximate"][seed], "lora", "random") for seed in (0, 1))
    assert torch.cosine_similarity(one, other, dim=0).abs().max() < 0.3


def test_centroid_is_of_the_task_that_is_asked_of(open_run):
    run, both = open_run(), ["glue-sst2", "amazon_polarity"]
    saved = stages.approximate(run, both)[0].tensors()
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controls, "score_stack", lambda run, delta, theta, datas, split: (
            asked.append((delta.kind, datas[0].task, split, theta[0])) or [0.5]))
        controls.centroid(run, both)
    for kind, task, split, theta in asked:
        centre = sum(saved[f"I.{k}"][both.index(task)] for k in KINDS) / 3
        torch.testing.assert_close(theta, run.start(kind) + saved[f"up.{kind}"] @ centre)
        assert split == "test"
    assert [task for _, task, *_ in asked] == 3 * both[:1] + 3 * both[1:]


def test_stage_one_is_validated_on_as_many_rows_as_the_profile_says(open_run, monkeypatch):
    seen = []
    monkeypatch.setattr(scoring, "score_stack", lambda run, delta, theta, datas, split: (
        seen.append({len(d.dev) for d in datas}) or [0.5] * len(theta)))
    for rows, left in ((7, 7), (None, 20)):
        run = open_run(validation_rows=rows)
        scoring.score_training(run, [(run.delta("lora"), torch.zeros(1, 2, 1))], [[run.data(t, 0) for t in UNSEEN]])
        assert seen.pop() == {left}


def test_the_parts_of_a_log_are_each_runs_own(done):
    run, found = done
    for artifact in found["approximate"].values():
        for line in artifact.log():
            parts = [sum(each) / len(each) for each in line["parts"].values()]
            assert line["loss"] == [pytest.approx(sum(parts), rel=1e-4)]


def test_a_landscape_and_what_is_fitted_are_named_by_what_they_come_from(open_run, monkeypatch):
    """A landscape is named by extent, step and rows; controls by the solutions, vectors and subspaces they measure."""
    def ids(call, **changes):
        run, found = open_run(**changes), {}

        def compute(run, stage, wanted, *rest):
            names = {key: f"{stage}/{run.store.path(stage, *named).name}" for key, named in wanted.items()}
            found[stage] = set(names.values())
            return {key: SimpleNamespace(id=name, config=wanted[key][1]) for key, name in names.items()}
        with monkeypatch.context() as patch:
            for module in (*STAGES, landscapes, workbench):
                patch.setattr(module, "compute", compute)
            call(run)
        return found
    planes_ = [ids(lambda run, g=given: landscapes.landscape(run, TRAIN, UNSEEN[0], **g))["landscape"]
               for given in ({}, {"extent": 2.0}, {"step": 0.5}, {"rows": 5})]
    assert len(set.union(*planes_)) == 4
    for name, call in (("lengthened", lambda run: controls.lengthened(run, TRAIN, UNSEEN)),
                       ("rescaled", lambda run: controls.rescaled(run, TRAIN, UNSEEN)),
                       ("centroid", lambda run: controls.centroid(run, TRAIN)),
                       ("controls", lambda run: controls.controls(run, TRAIN, UNSEEN))):
        assert not ids(call)[name] & ids(call, original_lr=0.037)[name], name


def test_the_loss_of_a_group_is_a_mean_over_its_own_answer_tokens(done):
    """The answers in one batch differ in length, and their padding must not count."""
    run, _ = done
    split = run.data(UNSEEN[0], 0).train
    answers = [np.array([7, 1]), np.array([7, 8, 9, 10, 1]), np.array([9, 8, 1]), np.array([5, 1])]
    uneven = replace(split, inputs=split.inputs[:4], labels=answers, targets=split.targets[:4])
    together = evaluation.losses(
        run.backbone.model, data.collate([(uneven, [0, 1]), (uneven, [2, 3])], torch.device("cpu")), 2)
    expected = []
    for rows in ((0, 1), (2, 3)):
        each = [(run.backbone.model(input_ids=torch.tensor(uneven.inputs[r].astype(np.int64))[None],
                                    labels=torch.tensor(answers[r])[None]).loss,
                 len(answers[r])) for r in rows]
        expected.append(sum(loss * n for loss, n in each) / sum(n for _, n in each))
    torch.testing.assert_close(together, torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_what_a_stage_cannot_work_with_is_told_before_anything_is_trained(open_run):
    run = open_run()
    for call, words in (
            (lambda: stages.original(run, [], ["lora"]), "no tasks given; allowed: a list of at least one"),
            (lambda: stages.original(run, TRAIN, seeds=()), "no seeds given"),
            (lambda: stages.transfer(run, TRAIN, UNSEEN, ()), "no kinds given"),
            (lambda: stages.optimize(run, TRAIN, UNSEEN, seeds=(0,), subspaces={1: None}), "no subspace of seed 0"),
            (lambda: landscapes.landscape(run, TRAIN, UNSEEN[:1]), "allowed: the name of one task"),
            (lambda: landscapes.landscape(run, TRAIN, UNSEEN[0], rows=10.5), "allowed: whole numbers from 1"),
            (lambda: shared.shared(run, TRAIN, KINDS, (True,)), "seed True is not allowed")):
        with pytest.raises(ValueError, match=words):
            call()
    assert not run.store.all("original")


@pytest.mark.parametrize("split", ["dev", "test"])
def test_scores_do_not_depend_on_how_many_solutions_are_made_at_once(done, monkeypatch, split):
    run, found = done
    mine, delta = run.data(UNSEEN[0], 0), run.delta("lora")
    vectors = found["optimize"][UNSEEN[0], "lora", 0].tensors()["kept"].flatten(0, 1)
    up, made = maps.up_map(run, found["approximate"][0], "lora", "trained"), []

    def to_offset(part):
        made.append(len(part))
        return up(part)
    whole = scoring.score_mapped(run, delta, to_offset, vectors, mine, split)
    longest = max(map(len, getattr(mine, split).inputs))
    monkeypatch.setattr(scoring, "CELLS_AT_ONCE", 2 * longest * run.backbone.config.d_model)
    assert scoring.score_mapped(run, delta, to_offset, vectors, mine, split) == whole
    assert made[0] == len(vectors)
    assert max(made[1:]) == 2


def test_the_control_of_the_mean_vector_is_of_all_three(done, monkeypatch):
    """Compare what is applied, not its score: on the tiny backbone the scores are much alike."""
    run, found = done
    saved, asked = found["approximate"][1].tensors(), {}
    monkeypatch.setattr(controls, "score_best", lambda run, delta, theta, data: (
        asked.setdefault(delta.kind, []).append(theta[0]) or 0.5))
    monkeypatch.setattr(controls, "scored", lambda run, stage, tasks, seeds, measure, named: measure(UNSEEN[0], 1))
    controls.controls(run, TRAIN, UNSEEN[:1], (1,))
    centre = sum(saved[f"I.{k}"][0] for k in KINDS) / 3
    for kind in KINDS:
        solution, own, mean = asked[kind]
        start, up = run.start(kind), saved[f"up.{kind}"]
        assert torch.equal(solution, found["original"][TRAIN[0], kind, 1].tensors()["theta"])
        torch.testing.assert_close(own, start + up @ saved[f"I.{kind}"][0])
        torch.testing.assert_close(mean, start + up @ centre)


def test_the_majority_is_of_training_answers(done):
    run, _ = done
    mine = run.data(UNSEEN[0], 0)
    rows = [("positive" if i % 4 else "negative") for i in range(len(mine.train))]
    other = replace(mine, train=replace(mine.train, targets=[[word] for word in rows]),
                    test=replace(mine.test, targets=[["negative"]] * len(mine.test)))
    assert baselines.majority(other) == 0.0


def test_neighbours_of_other_tasks_are_decoded_apart(done, monkeypatch):
    """Their answers have other lengths. In one padded batch, rounding would make a score depend on its company."""
    run, _ = done
    seen = []
    monkeypatch.setattr(scoring, "scores", lambda backbone, entries, datas, split: (
        seen.append([d.task for d in datas]) or [0.0] * len(datas)))
    scoring.score_stack(run, run.delta("lora"), torch.zeros(3, 1),
                          [run.data(t, 0) for t in (UNSEEN[0], UNSEEN[0], UNSEEN[1])], "dev")
    assert seen == [[UNSEEN[0]] * 2, [UNSEEN[1]]]


def test_a_transfer_is_named_by_the_vectors_of_every_delta(open_run, monkeypatch):
    run, names = open_run(), []

    def compute(run, stage, wanted, *rest):
        names.extend(named[1]["sources"] for named in wanted.values() if stage == "transfer")
        return {key: SimpleNamespace(id=f"{stage}/{run.store.path(stage, *named).name}", config=named[1])
                for key, named in wanted.items()}
    for module in STAGES:
        monkeypatch.setattr(module, "compute", compute)
    stages.transfer(run, TRAIN, UNSEEN[:1])
    assert [name.split("rotten_tomatoes-")[1].split("-")[0] for name in names[0]] == list(KINDS)


def test_long_and_short_rows_are_not_stacked_together():
    assert workbench.stacks([10, 13, 14, 20], 9, length=lambda key: key) == [[10, 13], [14], [20]]


def test_rows_are_held_by_all_that_changes_them(open_run):
    """Within one process, rows are held by how they are cut (the mirror has a test of its own below)."""
    short, long = (open_run(max_length=length).data(UNSEEN[0], 0) for length in (8, 64))
    assert short.longest_input == 8 < long.longest_input


def test_an_answer_may_be_as_long_as_the_longest_of_any_part(done, monkeypatch):
    run, _ = done
    mine = run.data(UNSEEN[0], 0)
    longer, asked = replace(mine, train=replace(mine.train, labels=[np.arange(17)] * len(mine.train))), []
    monkeypatch.setattr(evaluation, "predict", lambda backbone, entries, splits, longest: (
        asked.append(longest) or [[""] * len(s) for s in splits]))
    evaluation.scores(run.backbone, [], [longer], "test")
    assert asked == [[17]]


def test_what_needs_no_training_is_scored_on_test_rows(open_run, monkeypatch):
    asked = []
    monkeypatch.setattr(baselines, "scores", lambda backbone, entries, datas, split: (
        asked.append((entries, split)) or [0.25]))
    artifact, = baselines.untouched(open_run(), UNSEEN[:1], (0,)).values()
    assert artifact.metrics["untuned"] == 0.25
    assert asked == [([], "test")]


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_the_reconstruction_weighs_what_the_profile_says(open_run, first_loss, variant):
    """With the same draws, the objective is linear in the weight."""
    losses = [first_loss("approximate", lambda ratio=ratio: stages.approximate(
        open_run(variant=variant, ratio=ratio), TRAIN))[0] for ratio in (0.0, 0.5, 1.0)]
    torch.testing.assert_close(losses[2] - losses[1], losses[1] - losses[0], rtol=1e-3, atol=1e-3)
    assert losses[2] > losses[0] + 0.1


@pytest.mark.parametrize("stage, change", [
    ("approximate", {"approximate_steps": 3}), ("optimize", {"optimize_steps": 3}),
    ("original", {"original_prefix_steps": 3}), ("original", {"original_steps": 3})], ids=str)
def test_the_steps_of_a_stage_name_it_and_those_after_it(open_run, monkeypatch, stage, change):
    before, after = (identities(open_run(**c), monkeypatch) for c in ({}, change))
    assert [s for s in ALL if before[s] != after[s]] == FROM[stage]


def test_two_mirrors_in_one_process_are_two_sources(open_run, tmp_path, monkeypatch):
    prints = []
    monkeypatch.setattr(data.tokens, "encode", lambda *given: ([], [], []))
    monkeypatch.setattr(data.tasks, "load", lambda name, mirror, **given: datasets.DatasetDict({
        part: datasets.Dataset.from_dict({"input": [f"{mirror} {part}"], "targets": [["a"]]}) for part in tasks.PARTS}))
    run = open_run()
    for mirror in ("one", "other"):
        prints.append(data.load(run.backbone, "qasc", "mirror", mirror, 0, {}, 8, tmp_path).fingerprint)
    assert prints[0] != prints[1]
