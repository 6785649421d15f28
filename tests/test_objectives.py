"""What every stage minimises, from where, at which rate and for how long; followed by hand, one pass at a time."""

from dataclasses import replace

import pytest
import torch
from tiny import TRAIN, UNSEEN, numel

from unidelta import data, deltas, evaluation, stages
from unidelta.projections import KINDS, Projection, draw_ratios, draw_spread
from unidelta.stages import (
    approximation,
    baselines,
    maps,
    scoring,
    shared,
    solutions,
    workbench,
)


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


def test_every_method_starts_where_the_profile_says(open_run):
    for seed in (0, 42):
        run = open_run(init_seed=seed)
        assert all(torch.equal(run.start(kind), run.delta(kind).init(seed)) for kind in KINDS)


def test_every_search_starts_elsewhere():
    """The start differs by task, delta and seed, and is drawn from N(0, 0.02)."""
    starts = [maps.random_vector(3, task, kind, seed) for task in UNSEEN for kind in KINDS for seed in (0, 1)]
    assert len({tuple(vector.tolist()) for vector in starts}) == len(starts)
    assert maps.random_vector(20_000, UNSEEN[0], "lora", 0).std().item() == pytest.approx(0.02, rel=0.03)


def test_stage_one_is_validated_on_as_many_rows_as_the_profile_says(open_run, monkeypatch):
    seen = []
    monkeypatch.setattr(scoring, "score_stack", lambda run, delta, theta, datas, split: (
        seen.append({len(d.dev) for d in datas}) or [0.5] * len(theta)))
    for rows, left in ((7, 7), (None, 20)):
        run = open_run(validation_rows=rows)
        scoring.score_training(run, [(run.delta("lora"), torch.zeros(1, 2, 1))], [[run.data(t, 0) for t in UNSEEN]])
        assert seen.pop() == {left}


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_the_reconstruction_weighs_what_the_profile_says(open_run, first_loss, variant):
    """With the same draws, the objective is linear in the weight."""
    losses = [first_loss("approximate", lambda ratio=ratio: stages.approximate(
        open_run(variant=variant, ratio=ratio), TRAIN))[0] for ratio in (0.0, 0.5, 1.0)]
    torch.testing.assert_close(losses[2] - losses[1], losses[1] - losses[0], rtol=1e-3, atol=1e-3)
    assert losses[2] > losses[0] + 0.1
