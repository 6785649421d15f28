"""Stacks: what is trained and scored together is what each would be alone, and no more than the memory holds."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from tiny import SMALL, TRAIN, UNSEEN

from unidelta import data, evaluation, memory, stages
from unidelta.projections import KINDS
from unidelta.stages import (
    Run,
    maps,
    optimization,
    scoring,
    shared,
    solutions,
    workbench,
)


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


@pytest.mark.parametrize("kind", ["lora", "finetune"])
def test_the_rates_of_one_search_go_through_the_network_as_memory_allows(kind, open_run, monkeypatch):
    """One stack for the optimiser, parts of it in a pass; what is found is the same up to rounding."""
    settings = {"optimize_lrs": (0.1, 0.05, 0.01), "fastfood_optimize_lrs": (0.1, 0.05, 0.01), "optimize_steps": 4,
                "optimize_every": 2, "fastfood_optimize_every": 2, "shared_steps": 2, "fastfood_steps": 2,
                "shared_every": 2}
    found, sizes = {}, {}
    for name, free in (("whole", 2**36), ("parts", None)):
        run = open_run(name, **settings)
        batch = run.profile.fastfood_optimize_batch
        each = memory.solution(run.backbone.config, run.delta(kind), batch, *run.widest([run.data(UNSEEN[0], 0)]))
        space = shared.shared(run, TRAIN[:1], [kind])
        with monkeypatch.context() as patch:
            patch.setattr(memory, "free", lambda device: free or 2.5 * each / memory.SHARE)  # noqa: B023
            passes, scored = [], []
            patch.setattr(optimization, "loss_stack", lambda run, delta, theta, rows, real=scoring.loss_stack: (
                passes.append(len(theta)) or real(run, delta, theta, rows)))  # noqa: B023
            patch.setattr(optimization, "score_stack", lambda run, delta, theta, *rest, real=scoring.score_stack: (
                scored.append(len(theta)) or real(run, delta, theta, *rest)))  # noqa: B023
            later = shared.later(run, ["finetune"])
            found[name] = stages.optimize(later, TRAIN[:1], UNSEEN[:1], [kind], subspaces=space)[UNSEEN[0], kind, 0]
        sizes[name] = (passes, scored)
    assert sizes["whole"] == ([3] * 4, [3, 3, 1])
    assert sizes["parts"] == ([2, 1, 1, 2] * 4, [2, 1, 2, 1, 1]), "twice in a step, for the backward pass"
    assert found["whole"].id == found["parts"].id
    whole, parts = (found[name].tensors() for name in ("whole", "parts"))
    torch.testing.assert_close(parts["kept"], whole["kept"], rtol=1e-3, atol=1e-4)
    assert parts["kept_scores"].shape == (2, 3)
    torch.testing.assert_close(parts["kept_scores"], whole["kept_scores"], rtol=0, atol=0.02)


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


def test_memory_is_free_that_others_or_torch_do_not_use(monkeypatch):
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=3, total=8))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10, 80))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 7)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 5)
    assert [memory.free(torch.device(name)) for name in ("cpu", "cuda")] == [3, 12]


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
    parts = {part: getattr(mine, part) for part in ("train", "dev", "test")}
    assert 17 > mine.longest_answer == max(len(row) for part in parts.values() for row in part.labels)
    for name, part in parts.items():
        longer = replace(mine, **{name: replace(part, labels=[*part.labels[:-1], np.arange(17)])})
        assert longer.longest_answer == 17, name
    wider = replace(mine, train=replace(mine.train, inputs=[*mine.train.inputs[:-1], np.arange(99)]))
    assert wider.longest_input == 99 > mine.longest_input, "as wide as a batch may get"


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
    assert list(evaluation.pieces([3, 3, 3, 3, 3], 12)) == [[0, 1, 2, 3], [4]], "and as much as they may"


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


def test_the_parts_of_a_log_are_each_runs_own(done):
    run, found = done
    for artifact in found["approximate"].values():
        for line in artifact.log():
            parts = [sum(each) / len(each) for each in line["parts"].values()]
            assert line["loss"] == [pytest.approx(sum(parts), rel=1e-4)]


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


def test_neighbours_of_other_tasks_are_decoded_apart(done, monkeypatch):
    """Their answers have other lengths. In one padded batch, rounding would make a score depend on its company."""
    run, _ = done
    seen = []
    monkeypatch.setattr(scoring, "scores", lambda backbone, entries, datas, split: (
        seen.append([d.task for d in datas]) or [0.0] * len(datas)))
    scoring.score_stack(run, run.delta("lora"), torch.zeros(3, 1),
                          [run.data(t, 0) for t in (UNSEEN[0], UNSEEN[0], UNSEEN[1])], "dev")
    assert seen == [[UNSEEN[0]] * 2, [UNSEEN[1]]]


def test_long_and_short_rows_are_not_stacked_together():
    assert workbench.stacks([10, 13, 14, 20], 9, length=lambda key: key) == [[10, 13], [14], [20]]


def test_an_answer_may_be_as_long_as_the_longest_of_any_part(done, monkeypatch):
    run, _ = done
    mine = run.data(UNSEEN[0], 0)
    longer, asked = replace(mine, train=replace(mine.train, labels=[np.arange(17)] * len(mine.train))), []
    monkeypatch.setattr(evaluation, "predict", lambda backbone, entries, splits, longest: (
        asked.append(longest) or [[""] * len(s) for s in splits]))
    evaluation.scores(run.backbone, [], [longer], "test")
    assert asked == [[17]]


def test_an_answer_has_as_many_tokens_as_it_may(done):
    run, _ = done
    count = SimpleNamespace(batch_decode=lambda rows, skip_special_tokens: [str(len(ids)) for ids in rows])
    stub = SimpleNamespace(model=run.backbone.model, device=run.backbone.device, config=run.backbone.config,
                           tokenizer=count)
    said = evaluation.predict(stub, [], [run.data(UNSEEN[0], 0).test], [3])[0]
    assert set(said) == {"4"}, "the token that only starts it, and three"


def test_an_answer_is_without_white_space_around_it(done):
    run, _ = done
    words = SimpleNamespace(batch_decode=lambda rows, skip_special_tokens: [" a b "] * len(rows))
    stub = SimpleNamespace(model=run.backbone.model, device=run.backbone.device, config=run.backbone.config,
                           tokenizer=words)
    assert set(evaluation.predict(stub, [], [run.data(UNSEEN[0], 0).test], [1])[0]) == {"a b"}


def test_what_is_scored_fits_the_stack(done):
    run, _ = done
    mine, lora, t5 = run.data(UNSEEN[0], 0), run.delta("lora"), run.backbone
    theta = torch.stack([lora.init(seed) for seed in (0, 1)])
    with pytest.raises(ValueError, match="^2 solutions and 1 splits: give every solution its own"):
        evaluation.scores(t5, [(lora, theta)], [mine], "test")
    assert evaluation.scores(t5, [(lora, theta[0])], [mine], "dev") == evaluation.scores(
        t5, [(lora, theta[:1])], [mine], "dev"), "(N,) is one solution"
    for given in ([], [mine]):
        with pytest.raises(ValueError, match=f"{len(given)} splits with .* lengths of answers: give every"):
            evaluation.predict(t5, [], [d.test for d in given], [1] * (1 - len(given)))
    with pytest.raises(ValueError, match="^0 splits with 0 lengths of answers"):
        evaluation.scores(t5, [(lora, theta)], [], "dev")
    with pytest.raises(ValueError, match="^unknown split 'validation'; allowed: dev, test"):
        evaluation.scores(t5, [], [mine], "validation")
    batch = data.collate([(mine.train, [0, 1, 2, 3])], t5.device)
    for groups in (0, 3):
        with pytest.raises(ValueError, match=f"^4 rows cannot be shared by {groups} groups"):
            evaluation.losses(t5.model, batch, groups)
