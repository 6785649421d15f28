"""Curves from training logs: by hand, and from a tiny subspace of two tasks to a table and a figure."""

import pytest
from bs4 import BeautifulSoup

from unidelta.projections import KINDS
from unidelta.report import convergence, figures
from unidelta.stages import Run


@pytest.mark.parametrize("curve, percent", [([4.0, 3.0, 2.0, 1.0], 75), ([4.0, 1.0, 1.0, 1.0], 25), ([1.0, 2.0, 3.0], 0), ([10.0, 1.8, 1.0, 5.0], 25),
                                            ([10.0, 2.0, 1.0, 5.0], 50)])
def test_when_a_loss_has_gone_most_of_its_way(curve, percent):
    assert convergence.reached(curve) == percent, "nine tenths of the way from 10 to 1 is 1.9"
    assert convergence.reached([3.0, 1.0]) != convergence.reached([3.0, 1.0]), "two values say nothing"


def test_the_lag_is_taken_run_by_run():
    slow, fast = [4.0, 3.0, 2.0, 1.0], [4.0, 1.0, 1.0, 1.0]
    found = {convergence.TASK: {"adapter": [fast, slow], "lora": [fast, fast], "prefix": [slow, slow]}}
    mean, half = convergence.lag(found)
    assert mean == 25 and half > 0, "50 and 0 percent of the steps"


def test_a_log_without_parts_is_said_to_be_one():
    with pytest.raises(ValueError, match="holds no parts of the loss"):
        convergence.of_subspaces([[{"step": 1, "loss": [1.0], "dev": [0.0]}]])


def test_from_a_run_to_a_table_and_a_figure(tiny_t5, tmp_path):
    run = Run.open("embedded", str(tmp_path), backbone=tiny_t5, y=3, caps={"train": 32, "dev": 8, "test": 8}, max_length=48, steps=12, approximate_every=10,
                   device="cpu")
    found, ids = convergence.curves(run, ["glue-sst2"], [0, 1])
    assert list(found) == [convergence.SPACE, convergence.TASK, convergence.DIST] and len(ids) == 2 * 4
    assert all(len(runs) == 2 for curves in found.values() for runs in curves.values())
    assert {len(c) for runs in found[convergence.TASK].values() for c in runs} == {12}, "a value a step: ten in the first ten steps, two in the last two"
    log = [a.log() for a in run.store.all("approximate")][0]
    first = sum(found[name][k][0][i] for name in (convergence.TASK, convergence.DIST) for k in KINDS for i in range(10)) / 10
    assert first == pytest.approx(log[0]["loss"][0], rel=1e-4), "the parts add up to the loss"
    rows = BeautifulSoup(convergence.table(found).data, "html.parser").find_all("tr")
    assert len(rows) == 1 + 3 * 3 and len(figures.convergence(found).axes) == 3
