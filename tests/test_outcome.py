"""The results on one page: aims at their boundary, doubts, and a figure that has the numbers of its table."""

import pytest
from test_measures import sent_less
from test_report import grid, results, two_tasks

from unidelta.projections import KINDS
from unidelta.report import outcome


def test_an_aim_that_is_just_reached_is_met():
    even = results({"rotten_tomatoes": (100.0, 3 * [85.0]), "amazon_polarity": (100.0, 3 * [85.0])})
    own, sent = outcome.headlines(even, {}, {})
    assert (own.met, sent.met) == ("yes", "yes")
    apart = results({"rotten_tomatoes": (100.0, 3 * [85.0]), "amazon_polarity": (100.0, 3 * [45.0])})
    assert "`rotten_tomatoes`" not in outcome.missing(outcome.headlines(apart, {}, {})[:1]).data


def test_a_headline_is_in_doubt_if_one_draw_has_a_weak_cell():
    weak = results({"rotten_tomatoes": (60.0, 3 * [50.0])})
    good = results({"rotten_tomatoes": (90.0, 3 * [80.0])})
    found = outcome.headlines(good, {"unchanged": good, "backbone=rebuilt": weak}, {})
    assert grid(outcome.table(found, None, {}))[1][3].endswith("(2)†")


def test_other_draws_are_shown_over_the_same_tasks():
    some = results({"rotten_tomatoes": (100.0, 3 * [90.0])})
    both = results({"rotten_tomatoes": (100.0, 3 * [80.0]), "amazon_polarity": (100.0, 3 * [10.0])})
    own, *_ = outcome.headlines(some, {"unchanged": some, "backbone=rebuilt": both}, {})
    assert [set(draw.task) for draw in own.draws] == [{"rotten_tomatoes"}]
    own, *_ = outcome.headlines(both, {"unchanged": both, "backbone=rebuilt": some}, {})
    assert own.draws == [], "a draw that lacks a task is not comparable"


def test_the_controls_of_table_five_are_of_each_method_by_itself():
    fine = results({"rotten_tomatoes": (100.0, 3 * [96.0])}, kinds=(*KINDS, "finetune"))
    for column in ("random", "scaled_vector", "shared_vector"):
        fine.frame.loc[fine.frame.source == fine.frame.target, column] = 70.0
    fine.frame.loc[fine.frame.source == fine.frame.target, "train_solution"] = 75.0
    last = grid(outcome.table([], fine, {}))[-1]
    assert last[4:7] == ["75.0 training solution as it is", "70.0", "70.0"]


def test_the_figure_of_the_results_has_the_numbers_of_the_table(monkeypatch):
    monkeypatch.setattr(outcome.figures, "picture", lambda drawn, text: drawn)
    found = outcome.headlines(sent_less(two_tasks()), {}, {})
    axis, = outcome.figure(found).axes
    of_ = {line.get_label(): list(line.get_xdata()) for line in axis.lines}
    assert len(found) == 6
    rows = [grid(outcome.table([h], None, {}))[1] for h in found]
    for name, column in (("the paper, same tasks", 2), ("one number fitted", 5), ("tuned in a random subspace", 6),
                         ("best without tuning", 4)):
        assert [f"{x:.1f}" for x in of_[name]] == [row[column].split()[0] for row in rows], name
    assert of_["aim"] == pytest.approx([85.0, 83.0, float("nan"), float("nan"), 85.0, 83.0], nan_ok=True)
    bars = axis.containers[0]
    assert [f"{x:.1f}" for x in bars[0].get_xdata()] == [row[1].split()[0] for row in rows]


def test_draws_of_other_settings_are_not_shown():
    assert outcome.draws(two_tasks()) == {}, "of another backbone"
