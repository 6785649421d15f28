"""Curves from training logs: by hand, and from a tiny subspace of two tasks to a table and a figure."""

from types import SimpleNamespace

import pytest
import torch
from bs4 import BeautifulSoup
from test_report import grid

from unidelta.projections import KINDS
from unidelta.report import convergence, measures
from unidelta.stages import Run
from unidelta.stages.blend import Parts

SLOW, FAST = [4.0, 3.0, 2.0, 1.0], [4.0, 1.0, 1.0, 1.0]


def test_losses_are_compared_at_a_level_that_all_come_from_above_and_reach():
    assert convergence.level([[10.0, 1.0, 0.1], [12.0, 5.0, 2.0]]) == pytest.approx(2.8), \
        "nine tenths of the way from 10 to 2"
    assert convergence.level([[1.0, 0.5], [9.0, 3.0]]) == 3.0, \
        "one begins where the other never comes: the lowest that all reach"
    assert [convergence.reached(SLOW, at) for at in (4.0, 2.5, 1.0)] == [25, 75, 100]
    high = [4.0, 3.6, 3.5, 3.5]  # is soon near its own lowest, but late at the level that the others reach early
    when = convergence.arrivals({"adapter": [FAST], "lora": [FAST], "prefix": [high]}, 1)
    assert when["adapter"] == when["lora"] == [50]
    assert when["prefix"] == [75]


def test_of_two_values_nothing_is_said():
    when = convergence.arrivals({"adapter": [FAST[:2]], "lora": [FAST], "prefix": [FAST]}, 1)
    assert when["adapter"] != when["adapter"]
    assert when["lora"] == [50]


def test_the_lag_is_taken_seed_by_seed():
    found = {convergence.TASK: {"adapter": [FAST, SLOW], "lora": [FAST, FAST], "prefix": [SLOW, SLOW]},
             convergence.DIST: {"adapter": [SLOW, SLOW], "lora": [FAST, FAST], "prefix": [FAST, FAST]}}
    mean, half = convergence.lag(found, 2)
    assert mean == 25, "75 and 50 percent of the steps"
    assert half > 0
    mean, half = convergence.lag(found, 1)
    assert mean == 25
    assert half != half, "two tasks of one seed are no interval"
    said = convergence.said(found, 1).data
    assert "comes down 25.0 % of the steps later than" in said
    assert "after 75 and 50 % of the steps" in said
    assert said.endswith("is down after 50 % of the steps, theirs after 100 % (adapter) and 50 % (LoRA).")
    found[convergence.TASK]["prefix"] = [[4.0, 1.0, 0.5, 0.5]] * 2
    assert "They do not all get as low as the prefix." in convergence.said(found, 1).data


def test_a_loss_that_was_not_finite_is_above_every_level():
    parts = {f"{name}.{k}": [None, 2.0, 1.0] for name in ("task", "dist") for k in KINDS}
    found = convergence.of_subspaces([[{"step": 3, "loss": [None], "dev": [0.0], "parts": parts}]])
    assert found[convergence.TASK]["lora"] == [[float("inf"), 2.0, 1.0]]
    assert convergence.reached(found[convergence.TASK]["lora"][0], 2.0) > 0


def test_a_log_without_parts_is_said_to_be_one():
    with pytest.raises(ValueError, match="holds no parts of the loss"):
        convergence.of_subspaces([[{"step": 1, "loss": [1.0], "dev": [0.0]}]])


def test_from_a_run_to_a_table_and_a_figure(tiny_t5, tmp_path):
    run = Run.open("embedded", str(tmp_path), backbone=tiny_t5, y=3, caps={"train": 32, "dev": 8, "test": 8},
                   max_length=48, steps=12, approximate_every=10, device="cpu")
    found, ids = convergence.curves(run, ["glue-sst2"], [0, 1])
    assert list(found) == [convergence.SPACE, convergence.TASK, convergence.DIST]
    assert len(ids) == 2 * 4
    assert all(len(runs) == 2 for curves in found.values() for runs in curves.values())
    assert {len(c) for runs in found[convergence.TASK].values() for c in runs} == {12}, \
        "a value a step: ten in the first ten steps, two in the last two"
    log = [a.log() for a in run.store.all("approximate")][0]
    first = sum(found[name][k][0][i] for name in (convergence.TASK, convergence.DIST)
                for k in KINDS for i in range(10)) / 10
    assert first == pytest.approx(log[0]["loss"][0], rel=1e-4), "the parts add up to the loss"
    rows = BeautifulSoup(convergence.table(found, 2).data, "html.parser").find_all("tr")
    assert len(rows) == 1 + 2 * 3
    assert len(convergence.figure(found).axes) == 3


def test_parts_are_means_over_the_steps_of_a_tenth():
    """The tenths are those between two validations, whatever their distance."""
    parts = Parts(20)
    for step in range(40):
        parts.add(step, {"x": torch.tensor([float(step), 2.0 * step])})
        if step == 19:
            first = parts.pop()["parts"]["x"]
    assert first == [[0.5 + 2 * i for i in range(10)], [1.0 + 4 * i for i in range(10)]]
    assert parts.pop()["parts"]["x"][0] == [20.5 + 2 * i for i in range(10)]


def test_when_runs_arrive_is_averaged_over_tasks_within_a_seed():
    """Two tasks, three seeds: the seed changes fastest."""
    each = {k: [FAST, FAST, SLOW, FAST, FAST, SLOW] for k in KINDS}
    assert convergence.arrivals(each, 3)["lora"].tolist() == [50.0, 50.0, 100.0]


def test_curves_come_task_by_task_and_seed_by_seed(monkeypatch):
    def artifact(t, s):
        parts = {f"{part}.{k}": [t + s / 10] for part in ("task", "dist") for k in KINDS}
        return SimpleNamespace(id=f"{t}/{s}", log=lambda: [{"loss": [t + s / 10], "parts": parts}])
    monkeypatch.setattr(convergence, "original", lambda run, train, seeds: {
        (t, k, s): artifact(t, s) for s in seeds for t in train for k in KINDS})
    monkeypatch.setattr(convergence, "approximate", lambda run, train, seeds: {s: artifact(train[0], s) for s in seeds})
    found, _ = convergence.curves(None, [1, 2], [0, 1])
    assert {tuple(c[0] for c in runs) for each in found.values() for runs in each.values()} == {(1.0, 1.1, 2.0, 2.1)}


def test_lowest_and_first_are_told_and_drawn_at_the_ends_of_their_steps():
    found = {convergence.TASK: {k: [[4.0, 1.0, 2.0, 3.0]] for k in KINDS}}
    assert grid(convergence.table(found, 1))[1][3:5] == ["4.00", "1.000"]
    line = convergence.figure(found).axes[0].lines[1]
    assert [line.get_ydata()[i] for i in (25, 50, 75, 100)] == pytest.approx([4.0, 1.0, 2.0, 3.0])


def test_a_prefix_that_is_down_sooner_is_said_to_be_earlier():
    slow, fast = [4.0, 3.0, 2.0, 1.0], [4.0, 1.0, 1.0, 1.0]
    found = {convergence.TASK: {"adapter": [slow, slow], "lora": [slow, slow], "prefix": [fast, slow]},
             convergence.DIST: {k: [fast, fast] for k in KINDS}}
    mean, half = convergence.lag(found, 2)
    assert f"comes down {measures.number(-mean, half)} % of the steps earlier than" in convergence.said(found, 2).data
