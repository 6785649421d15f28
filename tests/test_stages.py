"""The stages on a tiny backbone: each leaves what section 4 says, and what it says is true, followed by hand."""

import logging
import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from tiny import SMALL, TRAIN, UNSEEN, every_stage, numel

from unidelta import evaluation, stages, tasks
from unidelta.params import ParameterError
from unidelta.projections import KINDS
from unidelta.report import planes
from unidelta.stages import (
    Run,
    baselines,
    controls,
    landscapes,
    maps,
    optimization,
    scoring,
    shared,
    solutions,
    workbench,
)


def shapes(artifact) -> dict:
    return {name: tuple(t.shape) for name, t in artifact.tensors().items()}


def test_what_is_only_scored_tells_how_far_it_is(caplog):
    with caplog.at_level(logging.INFO, "unidelta"):
        assert list(workbench.progress("controls", ["a", "b"])) == ["a", "b"]
    assert [line.split(" | ")[0] for line in caplog.messages] == ["controls 1 of 2", "controls 2 of 2"]
    assert caplog.messages[1].endswith(", 0.0 min left")


def test_a_name_is_no_list_of_names(tmp_path, tiny_t5):
    run = Run.open("embedded", str(tmp_path), backbone=tiny_t5)
    for call in (lambda: stages.original(run, "qasc"), lambda: stages.original(run, ["qasc"], kinds="lora"),
                 lambda: stages.optimize(run, ["dream"], "qasc"),
                 lambda: stages.transfer(run, ["dream"], ["qasc"], kinds="lora")):
        with pytest.raises(ValueError, match="='(qasc|lora)' is not allowed; allowed: a list of at least one$"):
            call()
    assert not (tmp_path / "embedded").exists() or not any((tmp_path / "embedded").iterdir())


def test_the_stages_go_by_their_names():
    assert set(stages.__all__) == {"Run", "original", "approximate", "optimize", "transfer", "landscape"}
    assert all(getattr(stages, name).__doc__ for name in stages.__all__)
    assert stages.landscape is landscapes.landscape


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
    again = every_stage(run)
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
        with pytest.raises(ValueError, match="^train=.* is not allowed; allowed: a list of at least one$"):
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
     "seeds=0 is not allowed; allowed: a list of at least one$"),
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
    with pytest.raises(ParameterError, match="lie on one line"):
        landscapes.plane(torch.zeros(3), torch.ones(3), 2 * torch.ones(3))


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


def test_what_a_stage_cannot_work_with_is_told_before_anything_is_trained(open_run):
    run = open_run()
    for call, words in (
            (lambda: stages.original(run, [], ["lora"]), r"tasks=\[\] is not allowed; allowed: a list of at least one"),
            (lambda: stages.original(run, TRAIN, seeds=()), r"seeds=\(\) is not allowed"),
            (lambda: stages.transfer(run, TRAIN, UNSEEN, ()), r"kinds=\(\) is not allowed"),
            (lambda: stages.optimize(run, TRAIN, UNSEEN, seeds=(0,), subspaces={1: None}), "no subspace of seed 0"),
            (lambda: landscapes.landscape(run, TRAIN, UNSEEN[:1]), "allowed: the name of one task"),
            (lambda: landscapes.landscape(run, TRAIN, UNSEEN[0], rows=10.5), "allowed: whole numbers from 1"),
            (lambda: shared.shared(run, TRAIN, KINDS, (True,)), "seed True is not allowed")):
        with pytest.raises(ValueError, match=words):
            call()
    assert not run.store.all("original")


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


def test_what_needs_no_training_is_scored_on_test_rows(open_run, monkeypatch):
    asked = []
    monkeypatch.setattr(baselines, "scores", lambda backbone, entries, datas, split: (
        asked.append((entries, split)) or [0.25]))
    artifact, = baselines.untouched(open_run(), UNSEEN[:1], (0,)).values()
    assert artifact.metrics["untuned"] == 0.25
    assert asked == [([], "test")]


def test_everything_that_an_artifact_is_made_from_is_in_its_configuration(done):
    run, found = done
    for stage in ("controls", "lengthened", "rescaled", "transfer"):
        for key, artifact in found[stage].items():
            task, seed = key
            made = {"controls": {"subspace": found["approximate"][seed].id},
                    "lengthened": {"factors": list(controls.FACTORS),
                                   "sources": [found["original"][t, k, seed].id for t in TRAIN for k in KINDS]},
                    "rescaled": {"factors": list(controls.FACTORS),
                                 "sources": [found["optimize"][task, k, seed].id for k in KINDS]},
                    "transfer": {"up": "trained",
                                 "sources": [found["optimize"][task, k, seed].id for k in KINDS]}}[stage]
            assert artifact.config == {
                "stage": stage, "backbone": run.backbone.fingerprint, "dtype": "float32", "task": task, "seed": seed,
                "data": run.data(task, seed).fingerprint, **made}
    plane = found["landscape"][0].config
    assert {name: plane[name] for name in ("task", "seed", "extent", "step", "rows", "sources")} == {
        "task": UNSEEN[0], "seed": 0, "extent": 1.0, "step": 0.5, "rows": 6,
        "sources": [found["optimize"][UNSEEN[0], k, 0].id for k in KINDS]}
    for seed, artifact in controls.centroid(run, TRAIN, (0, 1)).items():
        assert artifact.config["subspace"] == found["approximate"][seed[1]].id
