"""Fine-tuning and the simplified pipeline on a tiny backbone: what is trained, what is left, what is not repeated."""

from types import SimpleNamespace

import pytest
import torch

from unidelta import compiled, data, deltas, evaluation, fastfood, profiles, stages
from unidelta.fastfood import Fastfood
from unidelta.finetune import METHODS, Finetune
from unidelta.projections import KINDS
from unidelta.stages import Run, maps, optimization, scoring, shared, solutions, workbench

TRAIN, UNSEEN = ["glue-sst2"], ["rotten_tomatoes"]
SMALL = dict(steps=4, y=3, caps={"train": 48, "dev": 12, "test": 16}, original_every=2,
             shared_every=2, shared_batch=4, fastfood_batch=4, shared_optimize_every=2, fastfood_optimize_every=2,
             shared_optimize_lrs=(1.0,), fastfood_optimize_lrs=(1.0, 5.0), device="cpu", max_length=48)


@pytest.fixture
def open_run(tiny_t5, tmp_path):
    def open_(root="runs", **changes):
        return Run.open("embedded", str(tmp_path / root), backbone=tiny_t5, **SMALL | changes)
    return open_


@pytest.fixture(scope="module")
def done(tiny_t5, tmp_path_factory):
    """Run every stage of a subspace that all four methods share. Return (run, artifacts by stage)."""
    run = Run.open("embedded", str(tmp_path_factory.mktemp("runs")), backbone=tiny_t5, **SMALL)
    return run, {"original": stages.original(run, UNSEEN, ["finetune"]), "shared": shared.shared(run, TRAIN),
                 "optimize": shared.optimize(run, TRAIN, UNSEEN), "transfer": shared.transfer(run, TRAIN, UNSEEN)}


def shapes(artifact) -> dict:
    return {name: tuple(t.shape) for name, t in artifact.tensors().items()}


def answers(run) -> list[str]:
    return evaluation.predict(run.backbone, [], [run.data(UNSEEN[0], 0).test], [6])[0]


def batch(run, rows=6):
    return data.collate([(run.data(UNSEEN[0], 0).train, range(rows))], torch.device("cpu"))


# ---- full fine-tuning


def test_theta_is_all_weights_each_once(open_run):
    model, delta = open_run().backbone.model, open_run().delta("finetune")
    assert delta.numel == sum(w.numel() for w in model.parameters()) == sum(delta.numels) == len(delta.init())
    views = delta.views(delta.init()[None])
    assert set(views) == {name for name, _ in model.named_parameters()}
    assert all(torch.equal(views[n][0], w) for n, w in model.named_parameters())
    assert [tuple(b.shape) for b in delta.blocks(delta.init()[None])] == [(1, 1, *w.shape) for w in model.parameters()]


def test_the_backbones_own_weights_change_nothing(open_run):
    run = open_run()
    delta = run.delta("finetune")
    tuned = delta.tuned(run.backbone, run.start("finetune"))
    torch.testing.assert_close(tuned.model(**batch(run)).logits, run.backbone.model(**batch(run)).logits)
    assert evaluation.predict(tuned, [], [run.data(UNSEEN[0], 0).test], [6])[0] == answers(run)
    with pytest.raises(ValueError, match="finetune takes theta of shape"):
        delta.tuned(run.backbone, run.start("finetune")[None])


def test_other_weights_are_those_of_a_model_that_holds_them(open_run):
    """Loss, greedy answers and gradients are those of a copy with overwritten parameters. The backbone is as before."""
    run = open_run()
    delta, before = run.delta("finetune"), answers(run)
    theta = (run.start("finetune")
             + 0.05 * torch.randn(delta.numel, generator=torch.Generator().manual_seed(1))).requires_grad_()
    copy = type(run.backbone.model).from_pretrained(run.backbone.name).eval()
    with torch.no_grad():
        for (_, weight), view in zip(copy.named_parameters(), delta.views(theta[None]).values(), strict=True):
            weight.copy_(view[0])
    tuned = delta.tuned(run.backbone, theta)
    loss, expected = tuned.model(**batch(run)).loss, copy(**batch(run)).loss
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    loss.backward(), expected.backward()
    torch.testing.assert_close(theta.grad, torch.cat([w.grad.flatten() for w in copy.parameters()]),
                               rtol=1e-3, atol=1e-5)
    said = evaluation.predict(tuned, [], [run.data(UNSEEN[0], 0).test], [6])[0]
    own = evaluation.predict(
        SimpleNamespace(model=copy, tokenizer=run.backbone.tokenizer, device=copy.device, config=copy.config),
        [], [run.data(UNSEEN[0], 0).test], [6])[0]
    assert said == own != before
    assert answers(run) == before
    assert not any(w.requires_grad or w.grad is not None for w in run.backbone.model.parameters())


def test_the_loss_of_a_stack_of_backbones_is_each_ones_own(open_run):
    run = open_run()
    delta, start, split = run.delta("finetune"), run.start("finetune"), run.data(UNSEEN[0], 0).train
    theta = torch.stack([start, start + 0.05])
    rows = [(split, [0, 1, 2]), (split, [3, 4, 5])]
    alone = [delta.tuned(run.backbone, one).model(**data.collate([piece], torch.device("cpu"))).loss
             for one, piece in zip(theta, rows, strict=True)]
    torch.testing.assert_close(scoring.loss_stack(run, delta, theta, rows), torch.stack(alone), rtol=1e-4, atol=1e-5)


def test_fine_tuning_is_scored_like_the_deltas_and_keeps_no_weights(done):
    run, found = done
    artifact, = found["original"].values()
    assert shapes(artifact) == {}
    assert set(artifact.metrics) == {"dev", "test", "best_step"}
    assert len(artifact.log()) == 2
    assert artifact.config["lr"] == run.profile.finetune_lr
    assert artifact.config["kind"] == "finetune"
    assert artifact.log()[0]["loss"] != artifact.log()[1]["loss"]


# ---- the shared subspace


def test_every_stage_leaves_the_documented_tensors_and_metrics(done):
    run, found = done
    numels = run.delta("finetune").numels
    assert shapes(found["shared"][0]) == {"I": (1, 3), "G": (fastfood.trained(numels, 3),)} \
        | {f"up.{k}": (run.delta(k).numel, 3) for k in KINDS}
    assert set(found["optimize"]) == {(UNSEEN[0], k, 0) for k in METHODS}
    assert all(shapes(a) == {"I": (3,), "kept": (2, 2, 3), "kept_scores": (2, 2)} for a in found["optimize"].values())
    square = found["transfer"][UNSEEN[0], 0].metrics
    for name in ("test", "dev", "chosen"):
        assert list(square[name]) == list(METHODS)
        assert all(list(row) == list(METHODS) for row in square[name].values()), "4 x 4"
    for kind in METHODS:
        own = found["optimize"][UNSEEN[0], kind, 0].metrics
        assert (square["dev"][kind][kind], square["test"][kind][kind]) == pytest.approx((own["dev"], own["test"])), \
            "to itself is E_sub again"


def test_transfer_maps_the_source_vector_up_by_the_targets_own_projection(done):
    run, found = done
    mine, square, saved = (
        run.data(UNSEEN[0], 0), found["transfer"][UNSEEN[0], 0].metrics, found["shared"][0].tensors())
    fast = Fastfood.start(run.delta("finetune").numels, 3, [0])
    fast.G = saved["G"][None]
    for source, target in (("lora", "finetune"), ("finetune", "adapter")):
        kept = found["optimize"][UNSEEN[0], source, 0].tensors()["kept"]
        c, l = square["chosen"][source][target]  # noqa: E741
        offset = (fast.to_delta(kept[c, l].view(1, 1, 3))[0, 0] if target == "finetune"
                  else saved[f"up.{target}"] @ kept[c, l])
        theta = (run.start(target) + offset)[None]
        assert scoring.score_stack(run, run.delta(target), theta, [mine], "test") \
            == [pytest.approx(square["test"][source][target])]


class Captured(Exception):
    pass


@pytest.mark.parametrize("kinds, draws", [(METHODS, 1), (KINDS, 1), (("finetune",), 1), (KINDS, 3)], ids=str)
def test_the_objective_by_hand_and_what_trains(open_run, monkeypatch, kinds, draws):
    """Compare with the mean over methods and draws of L_task at theta_init + Proj_up(I), I that of the draw's task.

    There is one pass a draw. I, every Up and G get gradients, and nothing else can."""
    both, seeds, at, run = ["glue-sst2", "amazon_polarity"], (0, 1), 3, open_run(shared_draws=draws)

    def fit(optimizer, loss, score, **options):
        each = loss(at)
        each.sum().backward()
        raise Captured(optimizer, each.detach(), score())

    monkeypatch.setattr(workbench, "fit", fit)
    with pytest.raises(Captured) as caught:
        shared.shared(run, both, kinds, seeds)
    optimizer, ours, dev = caught.value.args
    rates = [run.profile.shared_lr_I] + [run.profile.shared_lr_up] * len([k for k in kinds if k in KINDS]) \
        + [run.profile.fastfood_lr_G] * ("finetune" in kinds)
    assert optimizer.lrs == rates
    assert len(dev) == 2
    assert len(optimizer.tensors) == 1 + len(kinds)
    assert all((t.grad.flatten(1).norm(dim=1) > 0).all() for t in optimizer.tensors), "in both seeds"
    turns = {seed: data.tasks_of_step(2, seed, at, draws) for seed in seeds}
    for seed, grad in zip(seeds, optimizer.tensors[0].grad, strict=True):
        assert {int(t) for t in grad.abs().sum(1).nonzero()} == {t for t, _ in turns[seed]}, \
            "only the vectors of the tasks that are drawn"
    assert not any(w.requires_grad or w.grad is not None for w in run.backbone.model.parameters())
    for i, seed in enumerate(seeds):
        total = 0.0
        for kind, (t, own) in ((k, turn) for turn in turns[seed] for k in kinds):
            split, vector = run.data(both[t], seed).train, shared.start_shared(2, 3, seed)[t]
            rows = [(split, data.rows_of_step(len(split), both[t], seed, own, 4))]
            if kind == "finetune":
                offset = Fastfood.start(run.delta(kind).numels, 3, [seed]).to_delta(vector.view(1, 1, 3))[0, 0]
                total += run.delta(kind).tuned(run.backbone, run.start(kind) + offset).model(
                    **data.collate(rows, torch.device("cpu"))).loss
            else:
                theta = run.start(kind) + shared.start_up(run.delta(kind).numel, 3, seed, kind) @ vector
                with deltas.applied(run.backbone.model, [(run.delta(kind), theta)]):
                    total += run.backbone.model(**data.collate(rows, torch.device("cpu"))).loss
        assert ours[i].item() == pytest.approx(float(total) / len(kinds) / draws, rel=1e-4)


def test_a_second_call_computes_nothing(done, monkeypatch):
    run, found = done

    def never(*args, **options):
        raise AssertionError("computed again")

    for module, name in ((workbench, "fit"), (scoring, "score_stack"), (solutions, "score_stack"),
                         (optimization, "score_stack")):
        monkeypatch.setattr(module, name, never)
    assert stages.original(run, UNSEEN, ["finetune"]).keys() == found["original"].keys()
    for stage in ("optimize", "transfer"):
        again = getattr(shared, stage)(run, TRAIN, UNSEEN)
        assert {k: a.id for k, a in again.items()} == {k: a.id for k, a in found[stage].items()}
    with pytest.raises(AssertionError, match="computed again"):
        shared.shared(run, TRAIN, seeds=(2,))


def test_a_killed_run_goes_on_where_it_was(open_run, monkeypatch):
    whole, killed, scored = shared.shared(open_run("whole"), TRAIN)[0], open_run("killed"), []
    real = scoring.score_stack

    def die(*args):
        scored.append(1)
        if len(scored) > len(METHODS):  # in the second validation
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(scoring, "score_stack", die)
    with pytest.raises(KeyboardInterrupt):
        shared.shared(killed, TRAIN)
    monkeypatch.undo()
    steps, loss = [], compiled.losses
    monkeypatch.setattr(compiled, "losses", lambda *args: (steps.append(1), loss(*args))[1])
    resumed = shared.shared(killed, TRAIN)[0]
    assert len(steps) == 2, "the first two of four steps are not done again"
    assert resumed.id == whole.id
    assert resumed.metrics == whole.metrics
    assert resumed.log() == whole.log()
    assert all(torch.equal(t, whole.tensors()[n]) for n, t in resumed.tensors().items())


# ---- settings


def test_the_deltas_alone_share_a_subspace_too(open_run):
    run = open_run()
    found = shared.transfer(run, TRAIN, UNSEEN, KINDS)[UNSEEN[0], 0]
    assert list(found.metrics["test"]) == list(KINDS)
    assert set(found.metrics["test"]["lora"]) == set(KINDS), "3 x 3"
    subspace = shared.shared(run, TRAIN, KINDS[::-1])[0]
    assert set(shapes(subspace)) == {"I", *(f"up.{k}" for k in KINDS)}
    assert "fastfood" not in subspace.config
    own = shared.optimize(run, TRAIN, UNSEEN, KINDS)[UNSEEN[0], "lora", 0]
    assert own.config["optimize_lrs"] == [1.0], "appendix A.4's grid, not A.5's"
    assert own.config["subspace"] == subspace.id
    assert torch.equal(maps.mean_vector(subspace, "lora"), subspace.tensors()["I"].mean(0))


def test_what_determines_the_subspace(open_run, monkeypatch):
    def ids(kinds=METHODS, **changes):
        run, found = open_run(**changes), []

        def compute(run, stage, wanted, work):
            found.extend(run.store.path(stage, *named).name for named in wanted.values())
            return {key: None for key in wanted}

        monkeypatch.setattr(shared, "compute", compute)
        shared.shared(run, TRAIN, kinds)
        return found[0]

    own = {ids()} | {ids(kinds) for kinds in (KINDS, ("lora", "finetune"))}
    changes = ({"fastfood": "released"}, {"fastfood_lr_G": 0.1}, {"shared_lr_I": 0.1}, {"shared_lr_up": 0.1},
               {"fastfood_batch": 5}, {"y": 4}, {"shared_every": 4}, {"shared_draws": 2}, {"validation_rows": 5},
               {"init_seed": 1}, {"caps": SMALL["caps"] | {"dev": 11}}, {"lora": {"rank": 4, "scale": 2.0}})
    assert len(own | {ids(**change) for change in changes}) == 3 + len(changes)
    for kinds, other in ((METHODS, {"shared_batch": 5}), (KINDS, {"fastfood": "released", "fastfood_batch": 5})):
        assert ids(kinds) == ids(kinds, **other), "what takes no part names nothing"


def test_the_random_fastfood_is_a_control_of_its_own(done):
    run, found = done
    vectors = torch.ones(1, 3)
    own, noise = (maps.up_map(run, found["shared"][0], "finetune", up)(vectors) for up in ("trained", "random"))
    assert own.shape == noise.shape == (1, run.delta("finetune").numel)
    assert torch.cosine_similarity(own, noise).abs() < 0.1
    with pytest.raises(ValueError, match="unknown up-projection 'mine'; allowed: trained, random"):
        maps.up_map(run, found["shared"][0], "finetune", "mine")


def test_the_paper_profile_has_the_appendices_numbers():
    p = profiles.get("paper")
    assert (p.shared_lr_I, p.shared_lr_up, p.shared_batch, p.shared_steps, p.shared_every) \
        == (5e-5, 1e-4, 16, 100000, 1000)
    assert (p.shared_optimize_lrs, p.shared_optimize_batch) == ((5e-2, 1e-2, 5e-3, 1e-3), 16)
    assert (p.fastfood_lr_G, p.fastfood_batch, p.fastfood_optimize_batch, p.fastfood_optimize_every) \
        == (1e-4, 8, 8, 100)
    assert p.fastfood_optimize_lrs == (1e-1, 5e-2, 1e-2, 5e-3, 1e-3, 5e-4, 1e-4)


@pytest.mark.parametrize("kinds, message", [
    (["bitfit"], "unknown method 'bitfit'; allowed: adapter, lora, prefix, finetune"),
    ([], r"kinds=\[\] is not allowed; allowed: a list of at least one$")])
def test_other_methods_are_refused(open_run, kinds, message):
    with pytest.raises(ValueError, match=message):
        shared.shared(open_run(), TRAIN, kinds)
    assert isinstance(open_run().delta("finetune"), Finetune)


def test_the_training_tasks_vector_as_it_is(done, monkeypatch):
    """The control tunes nothing: of several vectors, the one that does best on dev is scored on test."""
    run, found = done
    artifact, saved, mine = (shared.untuned(run, TRAIN, UNSEEN[:1])[UNSEEN[0], 0], found["shared"][0].tensors(),
                             run.data(UNSEEN[0], 0))
    assert set(artifact.metrics["shared_vector"]) == set(METHODS)
    assert artifact.config["subspace"] == found["shared"][0].id
    for kind in METHODS:
        theta = run.start(kind) + maps.up_map(run, found["shared"][0], kind, "trained")(saved["I"])
        assert scoring.score_stack(run, run.delta(kind), theta, [mine], "test") \
            == [pytest.approx(artifact.metrics["shared_vector"][kind])]
    longer = shared.lengthened(run, TRAIN, UNSEEN[:1])[UNSEEN[0], 0]
    assert set(longer.metrics["test"]) == set(METHODS)
    assert longer.config["subspace"] == found["shared"][0].id
    for kind in METHODS:
        offset = maps.up_map(run, found["shared"][0], kind, "trained")(longer.metrics["factor"][kind] * saved["I"])
        assert scoring.score_stack(run, run.delta(kind), run.start(kind) + offset, [mine], "test") \
            == [pytest.approx(longer.metrics["test"][kind])]
    monkeypatch.setattr(scoring, "score_stack", lambda run, delta, theta, datas, split: (
        [0.3, 0.9, 0.5] if split == "dev" else theta[:, 0].tolist()))
    assert scoring.score_best(run, None, torch.tensor([[1.0], [2.0], [3.0]]), mine) == 2.0


def test_what_is_drawn_differs_by_seed_and_method():
    """Untrained maps and vectors are drawn from N(0, 0.02), and none of them twice."""
    maps_ = [shared.start_up(5, 3, seed, kind) for seed in range(3) for kind in KINDS]
    vectors = [shared.start_shared(2, 3, seed) for seed in range(3)]
    assert len({tuple(t.flatten().tolist()) for t in (*maps_, *vectors)}) == 12
    for large in (shared.start_up(20_000, 3, 0, "lora"), shared.start_shared(20_000, 3, 0)):
        assert large.std().item() == pytest.approx(0.02, rel=0.03)


def test_the_later_stages_have_the_settings_of_their_appendix(open_run):
    """The settings are A.5's where fine-tuning takes part, and otherwise A.4's. For its steps, see the next test."""
    numbers = {f"{of}_optimize_{name}": value for of, add in (("shared", 0), ("fastfood", 1))
               for name, value in (("every", 3 + add), ("batch", 5 + add))}
    run = open_run(**numbers)
    for kinds, of in ((METHODS, "fastfood"), (KINDS, "shared")):
        p = shared.later(run, kinds).profile
        assert all(getattr(p, f"optimize_{name}") == getattr(run.profile, f"{of}_optimize_{name}")
                   for name in ("every", "batch", "lrs"))


@pytest.mark.parametrize("kinds, steps", [(METHODS, 3), (KINDS, 2)], ids=["with fine-tuning", "without"])
def test_fine_tuning_has_steps_of_its_own(open_run, kinds, steps):
    assert shared.shared(
        open_run(shared_steps=2, fastfood_steps=3, shared_every=1), TRAIN, kinds)[0].log()[-1]["step"] == steps


def test_every_seed_has_a_random_fastfood_of_its_own(done):
    run, found = done
    other = SimpleNamespace(config=found["shared"][0].config | {"seed": 1})
    one, two = (maps.up_map(run, space, "finetune", "random")(torch.ones(1, 3))
                for space in (found["shared"][0], other))
    assert torch.cosine_similarity(one, two).abs() < 0.1


def test_fine_tuning_a_half_precision_backbone_keeps_single_precision_numbers(open_run):
    run = open_run(dtype="bfloat16")
    delta, theta = run.delta("finetune"), run.start("finetune").requires_grad_()
    output = delta.tuned(run.backbone, theta).model(**batch(run))
    assert output.logits.dtype == torch.bfloat16
    assert theta.dtype == torch.float32
    output.loss.backward()
    assert theta.grad.dtype == torch.float32
    assert theta.grad.abs().sum() > 0
