"""Every number is of what its column says: results whose directions, deltas, parts and tasks can be told apart."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from test_report import RUN, Coded, grid, results, two_tasks

from unidelta import paper, report
from unidelta.projections import KINDS
from unidelta.report import Results, anatomy, comparing, measures, outcome, rescaling, tables, vectors
from unidelta.report.results import joined
from unidelta.stages.controls import FACTORS


def sent_less(found, points=9.0):
    """The same results with so much less transferred."""
    return replace(found, frame=found.frame.assign(
        sub=found.frame["sub"].where(found.frame.source == found.frame.target, found.frame["sub"] - points)))


def test_what_is_transferred_has_columns_of_its_own():
    less, more = sent_less(two_tasks()), two_tasks()
    assert grid(comparing.table({"unchanged": less}))[1][2:4] == ["90.0 ± 2.8", "80.0 ± 2.8"]
    assert grid(comparing.changes({"less": less, "more": more}))[1][2:] == ["+0.0 ± 0.0", "+10.0 ± 0.0"]
    said_ = comparing.changes({"more": more, "less": less})
    assert grid(said_)[1][2:] == ["+0.0 ± 0.0", "-10.0 ± 0.0"]
    assert "<b>-10.0&nbsp;±&nbsp;0.0</b>" in said_.data, "what is lost is bold, too"
    assert grid(tables.published(less, 2))[1][-1].startswith("80.0 ± 2.8 ")
    assert grid(tables.by_delta(less))[1][1:] == 3 * ["70.0 ± 1.4"]
    assert grid(outcome.other_settings({"unchanged": less}))[1][2:] == ["90.0 ± 2.8", "80.0 ± 2.8"]


def test_a_square_has_the_papers_figure_of_the_same_direction():
    fine = results({"rotten_tomatoes": (100.0, 3 * [96.0])}, kinds=("adapter", "lora", "prefix", "finetune"))
    rows = grid(tables.square(fine, paper.table(5)))
    assert rows[1][0] == "Adapter"
    assert rows[1][2].endswith(" 97.7"), "from the adapter to LoRA"
    assert rows[2][1].endswith(" 101.1")


def test_e_ori_of_a_table_is_on_test_rows(monkeypatch):
    monkeypatch.setattr(tables, "original", lambda run, names, seeds: {
        (t, k, s): SimpleNamespace(id=f"{t}{k}{s}", metrics={"test": 0.5, "dev": 0.9, "best_step": 10 * s})
        for t in names for k in KINDS for s in seeds})
    table, ids = tables.originals(None, ["qasc"], [0, 1])
    assert grid(table)[1] == ["qasc", *3 * ["50.0 ± 0.0"], "Adapter 5, LoRA 5, Prefix 5"]
    assert len(ids) == 6


def test_the_papers_rows_of_a_task_are_of_both_settings():
    (_, two_, four) = grid(tables.published_rows("superglue-wsc"))
    assert (two_[-1], four[-1]) == ("64.9", "92.2")


def test_a_cell_is_flagged_where_every_task_of_it_is_weak_with_that_delta():
    found = two_tasks()
    found.frame.loc[(found.frame.task == "rotten_tomatoes") & (found.frame.target == "lora"), "ori"] = 55.0
    found.frame.loc[(found.frame.source == "adapter") & (found.frame.target == "prefix")
                    & (found.frame.task == "rotten_tomatoes") & (found.frame.seed == 0), "ori"] = 60.0
    row = grid(tables.published(found, 2))[1][2:]
    assert ["†" in cell for cell in row[:-1]] == [name.endswith("L") for name in tables.columns(True)]


def test_originals_of_every_method_are_test_scores(monkeypatch):
    coded = Coded()
    kinds = (*KINDS, "finetune")
    monkeypatch.setattr(report.results, "original", coded.single("ori", kinds))
    monkeypatch.setattr(report.results, "untouched", coded.row("free", ()))
    for _, r in report.results.collect_original(RUN, ["qasc"], [0, 1]).frame.iterrows():
        assert r.ori == pytest.approx(100 * coded.code["ori", "test", r.target, r.seed])
        assert {c: r[c] for c in measures.FREE} == pytest.approx(
            {c: 100 * coded.code["free", c, r.seed] for c in measures.FREE})


def test_rows_join_only_with_the_very_same_seeds():
    long = results({"eli5-asks": (20.0, 3 * [10.0])})
    other = replace(long, seeds=[1, 2, 3], frame=long.frame.assign(seed=long.frame.seed + 1))
    here = two_tasks()
    assert joined(here, other) is here


def test_a_gain_is_over_the_tasks_that_both_have():
    one = results({"rotten_tomatoes": (100.0, 3 * [80.0]), "glue-mrpc": (100.0, 3 * [20.0])}).own
    other = one[one.task == "rotten_tomatoes"]
    assert measures.gain(one, other) == measures.gain(other, one) == (0.0, 0.0)


def test_gains_over_other_settings_are_of_their_own_tasks():
    few = results({"rotten_tomatoes": (100.0, 3 * [80.0])})
    base = results({"rotten_tomatoes": (100.0, 3 * [70.0]), "amazon_polarity": (100.0, 3 * [20.0])})
    assert all(list(each) == ["rotten_tomatoes"] for each in measures.gains(few, base=base).values())


def test_a_task_without_a_ratio_has_no_part_in_the_best_control():
    found = results({"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0]), "glue-mrpc": (0.0, 3 * [0.0])}).own
    best, added = measures.best_control(found, ["train_solution", "chance"])
    assert (best, measures.signed(*added)) == ("train_solution", "+23.3 ± 2.8")


def test_five_points_above_chance_are_next_to_nothing():
    assert measures.number(*measures.recovered(results({"rotten_tomatoes": (55.0, 3 * [52.0])}).own)) == "–"
    assert set(measures.rows_of(results({"rotten_tomatoes": (55.0, 3 * [52.0])}).own)) == {"label words shared"}, \
        "all are flagged: there is no rest"


def test_what_is_fitted_is_the_sources_own_and_what_it_is_compared_with_the_targets(monkeypatch):
    coded = Coded()
    numbers = coded.square("fit", KINDS)
    for name, stage in {"original": coded.single("ori", KINDS), "transfer": coded.square("sub", KINDS),
                        "rescaled": lambda *given: {key: SimpleNamespace(id=a.id, config={}, metrics=a.metrics | {
                            "dev": {s: {t: [0.0] * len(FACTORS) for t in KINDS} for s in KINDS}})
                            for key, a in numbers().items()},
                        "controls": coded.row("still", KINDS)}.items():
        monkeypatch.setattr(rescaling, name, stage)
    for _, r in rescaling.collect(RUN, ["qasc"], [0, 1], ["dream"]).frame.iterrows():
        t, s = r.target, r.seed
        assert r.factor == coded.code["fit", "factor", r.source, t, s]
        assert r.ori == pytest.approx(100 * coded.code["ori", "test", t, s])
        assert {c: r[c] for c in measures.FREE} == pytest.approx(
            {c: 100 * coded.code["still", c, s] for c in measures.FREE})


def test_a_panel_of_lengths_is_of_the_delta_that_is_given_the_vector():
    frame = results({"rotten_tomatoes": (80.0, [60.0])}).frame
    at = 10.0 * frame.source.map(KINDS.index) + frame.target.map(KINDS.index)
    found = Results(None, [0], frame.assign(**{f"x {f:.2f}": at for f in FACTORS}), [])
    for n, axis in enumerate(rescaling.figure(found).axes):
        lines = [line.get_ydata().tolist() for line in axis.lines if len(line.get_xdata()) == len(FACTORS)]
        assert lines == [[10.0 * m + n] * len(FACTORS) for m in range(3)]


def test_what_is_sent_is_compared_with_the_best_control_on_the_same_tasks():
    fitted = results({"rotten_tomatoes": (80.0, 3 * [60.0])})
    fitted = replace(fitted, frame=fitted.frame.assign(plain=40.0, scaled=72.0, factor=1.0))
    beside = results({"rotten_tomatoes": (80.0, 3 * [60.0]), "glue-mrpc": (80.0, 3 * [60.0])})
    beside.frame.loc[beside.frame.task == "glue-mrpc", "train_solution"] = 0.0
    assert "it adds -25.0 ± 0.0 points" in rescaling.told(fitted, beside).data


def test_cosines_and_transfer_are_ranked_and_drawn():
    found = results({"rotten_tomatoes": (100.0, [10.0, 20.0, 90.0])})
    found = sent_less(replace(found, frame=found.frame.assign(sub=found.frame["sub"] + 5)), 5.0)
    cosines = Results(None, [0, 1, 2], pd.DataFrame([
        {"train": "glue-sst2", "seed": seed, "source": a, "target": b, "cosine": (0.0, 0.1, 0.2)[seed]}
        for seed in range(3) for a, b in (("adapter", "lora"), ("adapter", "prefix"), ("lora", "prefix"))]), [])
    (_, line) = grid(vectors.table({"unchanged": (cosines, found)}))
    assert line[-2:] == [measures.number(*measures.interval([10.0, 20.0, 90.0])), "1.00"], "in order, if not in a line"
    drawn, = vectors.figure({"unchanged": (cosines, found)}).axes
    assert sorted(drawn.lines[0].get_ydata()) == pytest.approx(3 * [10.0] + 3 * [20.0] + 3 * [90.0])


def test_anatomy_by_hand(monkeypatch):
    offset = torch.tensor([-2.0, 0.0, 1.0])
    saved = {f"up.{k}": torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 0.0]]) for k in KINDS} \
        | {f"down1.{k}": torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) for k in KINDS} \
        | {f"I.{k}": torch.tensor([[3.0, 4.0]]) * n for n, k in enumerate(KINDS)}
    monkeypatch.setattr(anatomy, "approximate", lambda run, train, seeds: {
        0: SimpleNamespace(tensors=lambda: saved)})
    monkeypatch.setattr(anatomy, "original", lambda run, train, seeds: {
        ("qasc", k, 0): SimpleNamespace(tensors=lambda: {"theta": torch.ones(3) + offset}) for k in KINDS})
    run = SimpleNamespace(start=lambda kind: torch.ones(3))
    one = anatomy.dissected(run, ["qasc"], 0)["lora"]
    length, tanh = 5 ** 0.5, torch.tensor([2.0, 1.0]).tanh().mean().item()
    assert one["values"] == pytest.approx([3.0, 1.0])
    assert [one[name] for name in ("N", "cosine", "length", "after", "tanh")] \
        == pytest.approx([3, 2 / length, length, 1.5, tanh])
    assert one["before"] == pytest.approx(torch.randn(100_000).abs().mean().item() * 0.02 * length, rel=0.02)
    assert grid(anatomy.distances(run, ["qasc"], 0))[2] == ["LoRA", "5.00", "5.00", "0.00", "5.00"]
