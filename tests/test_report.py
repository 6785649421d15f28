"""Tables, sentences and figures from scores: the arithmetic by hand, and all the way from a tiny run to a table."""

import logging
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup

from unidelta import paper, report, stages, suite, tasks
from unidelta.params import ParameterError
from unidelta.profiles import PROFILES
from unidelta.projections import KINDS, Projection
from unidelta.report import (
    Results,
    anatomy,
    archive,
    comparing,
    directions,
    figures,
    measures,
    opening,
    outcome,
    planes,
    prose,
    rescaling,
    settings,
    tables,
    vectors,
)
from unidelta.report.measures import LABEL
from unidelta.report.results import joined
from unidelta.sources import mirror as mirror_of
from unidelta.stages import workbench
from unidelta.stages.controls import FACTORS

FREE = {"random": 10.0, "scaled_solution": 65.0, "scaled_vector": 45.0, "train_solution": 60.0, "own_vector": 50.0,
        "mean_vector": 40.0, "shared_vector": 35.0, "untuned": 0.0, "majority": 30.0, "chance": 50.0}


def results(scores: dict, kinds=KINDS) -> Results:
    """Build results from scores: task -> (E_ori, [E_sub of each seed]), the same for every delta and direction."""
    lines = [{"train": "glue-sst2", "task": task, "seed": seed, "source": s, "target": t,
              "ori": ori, "sub": value, **FREE}
             for task, (ori, each) in scores.items() for seed, value in enumerate(each) for s in kinds for t in kinds]
    run = SimpleNamespace(profile=PROFILES["embedded"],
                          backbone=SimpleNamespace(fingerprint="f" * 16, title=f"`{'f' * 16}`"),
                          store=SimpleNamespace(base=Path("runs/embedded")),
                          delta=lambda kind: SimpleNamespace(numel=7680))
    return Results(run, [0, 1, 2], pd.DataFrame(lines), ["original/a-1", "transfer/b-2"])


def two_tasks() -> Results:
    return results({"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0]), "glue-mrpc": (60.0, [30.0, 30.0, 30.0])})


@pytest.fixture
def two():
    return two_tasks()


def grid(table) -> list[list[str]]:
    return [[" ".join(c.get_text(" ").split()) for c in row.find_all(["td", "th"])]
            for row in BeautifulSoup(table.data, "html.parser").find_all("tr")]


def test_every_variant_of_a_page_says_where_its_artifacts_are(two):
    archived = archive.Archived(two.run, two.seeds, two.frame, ["original/c-3"], "line", "study/unchanged")
    lines = [" ".join(line.get_text(" ").split()) for line in BeautifulSoup(
        report.provenances({"y=8": two, "<b>": two}, {"unchanged": archived}).data, "html.parser").find_all("li")]
    assert lines[0] == "y=8: 2 artifacts, runs/embedded/original/a-1 runs/embedded/transfer/b-2"
    assert lines[1].startswith("<b>: 2 artifacts")
    assert lines[2] == "unchanged: 1 artifact, data/results/study/unchanged/artifacts.zip"


def test_transfer_stands_beside_the_cosine_of_the_same_two_vectors(monkeypatch):
    found = results({"rotten_tomatoes": (80.0, [40.0, 60.0, 80.0]), "amazon_polarity": (100.0, [50.0, 70.0, 90.0])})
    found.frame.loc[(found.frame.source == "lora") & (found.frame.target == "prefix"), "sub"] = 0.0
    angle = {0: 0.5, 1: 0.0, 2: -1.0}  # the cosine of LoRA's vector with the others, by seed
    def space(run, train, seeds):
        assert train == ["glue-sst2"]
        lora = {0: [0.5, 0.75 ** 0.5], 1: [0.0, 2.0], 2: [-3.0, 0.0]}
        tensors = {s: {"I.adapter": torch.tensor([[1.0, 0.0]]), "I.lora": torch.tensor([lora[s]]),
                       "I.prefix": torch.tensor([[2.0, 0.0]])} for s in seeds}
        return {s: SimpleNamespace(id=f"approximate/s{s}", tensors=lambda s=s: tensors[s]) for s in seeds}
    monkeypatch.setattr(vectors, "approximate", space)
    cosines = vectors.collect(found.run, ["glue-sst2"], [0, 1, 2])
    assert cosines.ids == ["approximate/s0", "approximate/s1", "approximate/s2"]
    at = {(row.seed, row.source, row.target): (row.cosine, row.transfer)
          for row in vectors.pairs(cosines, found).itertuples()}
    assert len(at) == 9
    for seed, (first, second) in enumerate([(50.0, 50.0), (75.0, 70.0), (100.0, 90.0)]):
        assert at[seed, "adapter", "prefix"] == pytest.approx((1.0, (first + second) / 2))
        assert at[seed, "adapter", "lora"] == pytest.approx((angle[seed], (first + second) / 2))
        assert at[seed, "lora", "prefix"] == pytest.approx((angle[seed], (first + second) / 4)), "one way gives nothing"
    (_, line) = grid(vectors.table({"unchanged": (cosines, found)}))
    assert line[:5] == ["unchanged", "-0.17", "1.00", "-0.17", "-1.00 to 1.00"]
    drawn, = vectors.figure({"unchanged": (cosines, found)}).axes
    assert drawn.get_title() == "unchanged"
    assert sorted(drawn.lines[0].get_xdata()) == pytest.approx([-1, -1, 0, 0, 0.5, 0.5, 1, 1, 1])


def test_an_artifact_is_archived_whole_or_not_at_all(two, tmp_path, monkeypatch):
    two.run.store.base = tmp_path / "store"
    for i in two.ids:
        (tmp_path / "store" / i).mkdir(parents=True)
        for part in ("config.json", "metrics.json"):
            (tmp_path / "store" / i / part).write_text("{}")
    packed = archive.save({"unchanged": two}, "study", tmp_path / "results") / "unchanged" / archive.PACKED
    assert len(ZipFile(packed).namelist()) == 4, "what was not trained has no log"
    (tmp_path / "store" / two.ids[1] / "metrics.json").unlink()
    with pytest.raises(FileNotFoundError, match="metrics.json"):
        archive.save({"unchanged": two}, "study", tmp_path / "results")
    assert len(ZipFile(packed).namelist()) == 4, "what was there stays"
    (tmp_path / "store" / two.ids[1] / "metrics.json").write_text("{}")
    rename = Path.rename

    def full(path, target):
        if path.name == "new":
            raise OSError("no space left")
        return rename(path, target)
    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="no space left"):
        archive.save({"unchanged": two}, "study", tmp_path / "results")
    assert len(ZipFile(packed).namelist()) == 4, "what was there is put back"


def test_interval_is_students():
    mean, half = report.interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.302653 / 3 ** 0.5, rel=1e-5)
    assert report.number(*report.interval([5.0])) == "5.0", "one seed has no interval"
    assert report.number(float("nan")) == "–"


def test_averages_are_taken_within_a_seed_first(two):
    mean, half = report.over_seeds(two.own, report.relative(two.own))
    by_seed = [(80 / 90 + 0.5) / 2, (81 / 90 + 0.5) / 2, (82 / 90 + 0.5) / 2]
    assert (mean, half) == pytest.approx(report.interval([100 * x for x in by_seed]))


def test_no_ratio_without_a_denominator():
    zero = results({"rotten_tomatoes": (0.0, [10.0, 10.0, 10.0])})
    assert report.relative(zero.own).isna().all()
    assert report.number(*report.recovered(zero.own)) == "–"
    assert "no ratio" in prose.explained(zero).data
    assert "9 of 9 E_ori (of a task, delta and seed) are zero" in prose.note(zero)
    assert not {"nan", "NaN", "inf"} & {cell for line in grid(tables.averages(zero)) for cell in line}


def test_recovered_above_chance_and_flags(two):
    tomatoes = two.own[two.own.task == "rotten_tomatoes"]
    assert report.recovered(tomatoes)[0] == pytest.approx(100 * (81 - 50) / (90 - 50))
    near = tomatoes.assign(ori=tomatoes.ori.where(tomatoes.seed > 0, 54.0))
    assert report.number(*report.recovered(near)) == "–", \
        "one seed with nothing to recover, and the mean would be that of the others"
    flags = report.weak(two.own)
    assert not flags[tomatoes.index].any()
    assert flags.drop(tomatoes.index).all(), "60 is only 10 points above chance"
    assert set(report.rows_of(two.own)) == {"label words shared", "label words not shared", "all", "all but †"}


def test_published_table_keeps_every_row_and_both_figures(two):
    lines = grid(tables.published(two, 1))
    assert len(lines) == len(paper.table(1)) + 2
    row = {line[1]: line[2:] for line in lines}
    assert row["Rotten Tomatoes"][0] == "90.0 101.8"
    assert row["Rotten Tomatoes"][-1] == "90.0 ± 2.8 100.4"
    assert row["MRPC"][0] == "50.0† 85.4"
    assert row["SciTail"] == [f"not run {x:.1f}" for x in (82.9, 79.8, 84.4, 82.4)]
    assert row["Avg. ours over 2 of 11 rows"][-1] == "70.0 ± 1.4 84.9"
    assert row["the paper, these rows"] == ["93.6", "92.2", "91.2", "92.3"], "as printed, and over the rows run"
    own = replace(two, frame=pd.concat([two.frame, two.frame.assign(task="own-task", sub=1.0)]))
    assert grid(tables.published(own, 1)) == lines, "what the paper's table lacks has no part in its average"
    assert len(grid(tables.published(two, 2, whole=False))) == 3
    assert grid(tables.published(two, 2))[1][2] == "90.0 100.6"


def test_long_answers_stand_in_the_table_and_not_in_its_average(two):
    long = results({"eli5-asks": (80.0, [20.0, 20.0, 20.0]), "rotten_tomatoes": (90.0, [9.0, 9.0, 9.0])})
    plain, row = ({line[1]: line[2:] for line in grid(tables.published(two, 1, long=more))} for more in (None, long))
    assert row.pop("ELI5-Asks ‡")[0].startswith("25.0 ")
    assert plain.pop("ELI5-Asks")[0].startswith("not run")
    assert row == plain, "the rest is as without them"
    only = results({"eli5-asks": (80.0, [20.0, 20.0, 20.0])})
    every = results({task: (80.0, [40.0, 48.0, 56.0]) for mine in suite.single().values() for task in mine})
    n = every.frame.task.nunique()
    assert (f"`eli5-asks` 25.0 ± 0.0 (majority answer 37.5). With them the average over all {n + 1} rows is "
            f"{(60 * n + 25) / (n + 1):.1f} ± ") in prose.long_answers(every, only).data
    told = prose.long_answers(two, only).data
    assert "answers of a sentence" in told
    assert "average over all" not in told, "of a choice and all long rows there is no average"
    assert "were not run" in prose.long_answers(two, None).data
    assert "reach 11.5 to 15.2 on these rows" in prose.published_originals(suite.LONG_UNSEEN).data, "Table 10, by eye"
    assert "answers without label words (1)" in grid(tables.averages(only))[0]


def test_the_papers_averages_are_over_the_deltas_that_are_shown():
    some = results({"superglue-copa": (60.0, [50.0, 51.0, 52.0])}, kinds=("adapter", "lora"))
    cells = paper.rows(2, ["superglue-copa"])
    theirs = f"{cells[['A->L', 'L->A']].to_numpy().mean():.1f}"
    assert theirs != f"{paper.average(2, ['superglue-copa']):.1f}"
    lines = {line[0]: line[-1] for line in grid(tables.averages(some, 2))}
    assert lines["the paper, same tasks"] == theirs
    assert grid(tables.published(some, 2, whole=False))[1][-1].endswith(f" {theirs}")
    assert grid(tables.published(some, 2))[-1][-1] == theirs


def test_where_no_task_shares_label_words_it_is_said_so(two):
    apart = results({"glue-mrpc": (60.0, [30.0, 31.0, 32.0])})
    assert measures.gains(apart) == {}
    assert "No task here shares label words" in comparing.task_by_task(measures.gains(apart)).data
    assert len(grid(comparing.beyond_length({"one": two, "other": apart}))) == 2, "that variant is left out"


def test_averages_stand_beside_every_control(two):
    lines = {line[0]: line[1:] for line in grid(tables.averages(two))}
    assert {*report.CONTROLS.values(), "in the subspace", "recovered above chance", "the paper, same tasks"} \
        <= set(lines)
    assert lines["training solution as it is"] == ["66.7 ± 0.0", "100.0 ± 0.0", "83.3 ± 0.0", "66.7 ± 0.0"]
    assert lines["the paper, same tasks"] == ["100.4", "84.3", f"{(100.4 + 84.3) / 2:.1f}", "100.4"]
    said = prose.explained(two).data
    assert ("**label words shared** (1 task). Optimising in the subspace reaches 90.0 ± 2.8 % "
            "of <i>E</i><sub>ori</sub>") in said
    assert "As a share of this average, each control alone reaches: " in said
    assert "training solution as it is: 74\u00a0%; " in said
    low = results({"rotten_tomatoes": (90.0, [0.0, 0.0, 0.0])})
    assert "As a share of <i>E</i><sub>ori</sub>, each control alone reaches: " in prose.explained(low).data
    assert "chance: 56\u00a0%" in prose.explained(low).data
    assert "it adds +23.3 ± 2.8 points (interval excludes zero); over the random up-projection, tuned, " in said


@pytest.mark.parametrize(("n", "y"), [(1, 4), (3, 100), (6, 4), (7, 100), (8, 4)])
def test_the_papers_averages_stand_beside_its_own_dimension_alone(two, n, y):
    for tried in (4, 8, 100):
        found = replace(two, run=SimpleNamespace(profile=replace(two.run.profile, y=tried)))
        assert (grid(tables.averages(found, n))[-1][0] == "the paper, same tasks") == (tried == y)


def test_the_papers_ratios_are_scores_again(two):
    assert grid(tables.published_scores(two)) == [
        ["unseen task", "chance", "Adapter", "LoRA", "Prefix"],
        ["Rotten Tomatoes", "50.0", "90.8 of 89.2", "89.4 of 89.3", "89.4 of 90.0"],
        ["MRPC", "50.0", "74.6 of 87.3", "73.6 of 87.3", "72.5 of 87.3"]]
    weak_ = replace(two, frame=two.frame.assign(chance=74.5))
    assert grid(tables.published_scores(weak_))[1:][0][2:] == ["90.8 of 89.2†", "89.4 of 89.3†", "89.4 of 90.0"]


def test_what_the_chapter_says_of_the_papers_rows_close_to_guessing():
    """Chapter 22: on two options, a guess is right every second time."""
    own, original = ({paper.task_name(row["test"]): row for row in paper.table(n).to_dict("records")
                      if row["test"] != paper.AVERAGE} for n in (1, 10))
    def scores(task):
        return [own[task][LABEL[k]] * original[task][LABEL[k]] / 100 for k in ("adapter", "lora", "prefix")]
    assert all(abs(score - 50) < 3 for score in scores("quartz-no_knowledge"))
    assert [score < 50 for score in scores("superglue-copa")] == [False, True, False]
    assert [score < 50 for score in scores("superglue-wsc")] == [True, True, False]
    arc = paper.rows(11, ["ai2_arc"]).iloc[0]
    assert all(arc[LABEL[k]] - 25 < 15 for k in ("adapter", "lora", "prefix"))
    assert all(original["superglue-copa"][LABEL[k]] - 50 < 15 for k in ("adapter", "lora", "prefix"))


def test_what_the_simplified_chapter_says_of_the_papers_cells_near_nothing():
    low = {(paper.task_name(row["test"]), name) for n in (8, 9) for row in paper.table(n).to_dict("records")
           if row["test"] != paper.AVERAGE for name, value in row.items() if "->" in name and value < 20}
    assert low == {("glue-mrpc", "P->L"), ("ethos-gender", "A->P"), ("ethos-gender", "L->P")}


def test_every_task_and_variant_has_its_line(two):
    lines = grid(tables.per_task(two))
    assert lines[1] == ["rotten_tomatoes", "90.0", "11.1", "66.7", "72.2", "55.6", "44.4", "0.0", "33.3", "55.6",
                        "100.4"]
    assert len(lines) == 3
    lines = grid(comparing.table({"unchanged": two, "y=16": two}))
    assert [line[:2] for line in lines[1:4]] == [
        ["unchanged", "shared (1)"], ["unchanged", "not shared (1)"], ["unchanged", "all (2)"]]
    assert lines[1] == ["unchanged", "shared (1)", "90.0 ± 2.8", "90.0 ± 2.8", "66.7", "38.9", "72.2", "50.0", "11.1",
                        "55.6", "77.5 ± 6.2"]
    assert [line[:4] for line in lines[7:]] == [
        ["the paper, same tasks (Tables 1 and 2)", f"{group} ({n})", f"{own:.1f}", f"{moved:.1f}"]
        for group, n, own, moved in (("shared", 1, 100.4, 100.2), ("not shared", 1, 84.3, 78.7),
                                     ("all", 2, (100.4 + 84.3) / 2, (100.2 + 78.7) / 2))]
    wide = replace(two, run=SimpleNamespace(profile=replace(two.run.profile, y=16)))
    assert len(grid(comparing.table({"y=16": wide}))) == 4, "the paper has no table of this dimension"
    assert grid(comparing.table({"y=16": wide, "unchanged": two}))[7:] == lines[7:]
    assert "90.0&nbsp;±&nbsp;2.8" in comparing.table({"unchanged": two}).data, "never broken over two lines"
    lines = grid(tables.absolute(two))
    assert lines[2] == [
        "glue-mrpc", "50.0", "30.0", "0.0", "60.0† / 60.0† / 60.0†", "30.0 / 30.0 / 30.0", "-200.0 ± 0.0†"]


def test_variants_are_compared_by_seed(two):
    better = results({"rotten_tomatoes": (90.0, [85.5, 86.5, 87.5]), "glue-mrpc": (60.0, [36.0, 36.0, 36.0])})
    said = comparing.changes({"unchanged": two, "y=16": better}, random=True)
    head, *lines = grid(said)
    assert head == ["variant", "label words (tasks)", "in the subspace", "transferred", "random up-projection, tuned"]
    assert lines[0] == ["y=16", "shared (1)", "+6.1 ± 0.0", "+6.1 ± 0.0", "+0.0 ± 0.0"]
    assert lines[2][:3] == ["y=16", "all (2)", "+8.1 ± 0.0"]
    assert said.data.count("<b>+6.1&nbsp;±&nbsp;0.0</b>") == 2
    assert "<b>+0.0" not in said.data, "bold is what these seeds tell from zero"
    assert comparing.changes({"unchanged": two}).data == "No variant was named."
    assert report.variants("compiled=True") == [("compiled=True", {"compiled": True})]
    assert report.variants("ratio=0.1, y=3") == [("ratio=0.1, y=3", {"ratio": 0.1, "y": 3})]
    assert report.variants("y=16; y=16, optimize_init=train") == [
        ("y=16", {"y": 16}), ("y=16, optimize_init=train", {"y": 16, "optimize_init": "train"})]
    zero = results({"rotten_tomatoes": (0.0, [10.0, 10.0, 10.0])})
    assert grid(comparing.changes({"unchanged": zero, "y=16": zero}))[1][2:] == ["–", "–"], "no ratio"
    with pytest.raises(ParameterError, match="setting=value"):
        report.variants("y")


def test_draws_are_summed_up_where_label_words_are_shared(two):
    other = results({"rotten_tomatoes": (90.0, [72.0, 72.0, 72.0]), "glue-mrpc": (60.0, [0.0, 0.0, 0.0])})
    said = prose.draws({"unchanged": two, "backbone=other": other}).data
    assert "over 2 of these backbones (the default, `other`; " in said
    each = "85.0 ± 63.5 % (80.0 to 90.0), +12.8 ± 63.5 points over the training solution, length fitted"
    assert f"in the subspace {each}; transferred {each}." in said
    assert "No task here" in prose.draws({"unchanged": results({"glue-mrpc": (60.0, [30.0, 30.0, 30.0])})}).data


def test_absolute_scores_stand_beside_the_papers():
    found = results({"rotten_tomatoes": (90.0, [0.0] * 3), "glue-mrpc": (60.0, [0.0] * 3)},
                    kinds=("adapter", "lora", "prefix", "finetune"))
    found = Results(found.run, found.seeds, found.own.drop(columns=["sub", "random", "train"]), found.ids)
    lines = {line[1]: line[2:] for line in grid(tables.published_absolute(found, 10))}
    assert lines["Rotten Tomatoes"] == [
        "50.0", "0.0", "90.0 ± 0.0 89.2", "90.0 ± 0.0 89.3", "90.0 ± 0.0 90.0", "90.0 ± 0.0 89.8"]
    assert lines["MRPC"][2] == "60.0 ± 0.0† 87.3"
    assert lines["RTE"] == ["–", "–", *(f"not run {x}" for x in (78.4, 79.1, 72.7, 80.6))]
    means = paper.table(10).query("test != 'Avg.'").mean(numeric_only=True)
    assert lines["Avg."][2:] == [
        f"75.0 ± 0.0 {printed}" for printed in paper.table(10).set_index("test").loc["Avg."].drop("train")]
    assert lines["the paper's own rows give"] == [
        "", "", *(f"{means[column]:.1f}" for column in ("Adapter", "LoRA", "Prefix", "Fine-tune"))]
    assert len(grid(tables.published_absolute(found, 11))) == 12


def test_a_variant_without_some_controls_stands_beside_one_that_has_them(two):
    less = Results(two.run, two.seeds, two.frame.drop(
        columns=["random", "scaled_solution", "train_solution", "own_vector", "mean_vector"]), two.ids)
    lines = grid(comparing.table({"unchanged": two, "y=16": less}))
    assert lines[4][:2] == ["y=16", "shared (1)"]
    assert lines[4][4:10] == ["–", "38.9", "–", "50.0", "–", "55.6"]
    assert grid(comparing.absolute({"unchanged": two}))[1] == [
        "unchanged", "rotten_tomatoes", "50.0", "0.0", "90.0 / 90.0 / 90.0", "81.0 / 81.0 / 81.0"]
    assert "Training tasks: 1 of the paper's 60. SA: `glue-sst2`." in prose.trained_on(two).data


@pytest.mark.parametrize("n", [1, 2])
def test_figures_draw(two, n):
    for figure in (figures.dots(two, n), figures.controls(two, n),
                   figures.square(results({"rotten_tomatoes": (90.0, [80.0, 81.0])}))):
        assert figure.axes
        assert all(axis.has_data() for axis in figure.axes)


def test_a_control_that_was_not_run_has_no_bar(two):
    less = replace(two, frame=two.frame.drop(columns=["random", "scaled_solution"]))
    shown = [[label.get_text() for label in figures.square(found).axes[1].get_yticklabels()] for found in (two, less)]
    assert len(shown[0]) == 8
    assert shown[1] == [
        text for text in shown[0] if text not in (report.CONTROLS["random"], report.CONTROLS["scaled_solution"])]


def test_an_interval_counts_what_is_a_number():
    assert measures.interval([1.0, 2.0, float("nan")]) == measures.interval([1.0, 2.0]) \
        == pytest.approx((1.5, 12.706 * 0.5), rel=1e-4)
    assert measures.widened(3, 1) == 1
    assert measures.widened(3, 2) * measures.interval([1, 2, 4])[1] \
        == pytest.approx(measures.interval([1, 2, 4], 2)[1])
    assert math.isnan(measures.widened(1, 2))


def test_rows_of_other_tasks_join_where_the_seeds_are_the_same(two):
    long, other = (results({"eli5-asks": (20.0, 3 * [10.0]), "glue-mrpc": (20.0, 3 * [10.0])}),
                   replace(results({"eli5-asks": (20.0, [10.0])}), seeds=[0]))
    whole = joined(two, long)
    assert list(dict.fromkeys(whole.frame.task)) == ["rotten_tomatoes", "glue-mrpc", "eli5-asks"]
    assert len(whole.frame) == 81
    assert whole.frame[whole.frame.task == "glue-mrpc"].ori.eq(60).all(), "a task that both have is the first's"
    assert joined(two, None) is two
    assert joined(two, other) is two


def test_deltas_may_be_left_out():
    one = results({"rotten_tomatoes": (90.0, [80.0])}, kinds=["lora"])
    assert one.kinds == ["lora"]
    assert one.moved.empty
    assert grid(tables.by_delta(one))[0] == ["", "LoRA"]
    assert grid(tables.square(one)) == [["from", "to LoRA"], ["LoRA", "88.9 (80.0)"]]


@pytest.mark.parametrize(("given", "line"), [
    ({"profile": "embeded"}, "did you mean 'embedded'"), ({"source": "hubb"}, "did you mean 'hub'"),
    ({"steps": 0}, "a whole number from 1"), ({"seeds": "0,x"}, "seeds '0,x': allowed are whole numbers"),
    ({"deltas": "lroa"}, "did you mean 'lora'"), ({"task": "qsac"}, "did you mean 'qasc'"),
    ({"task": "acronym_identification"}, "no single-task subspace serves"),
    ({"train": "glue-sts2"}, "did you mean 'glue-sst2'"),
    ({"setting": "both"}, "allowed are single, multi"),
    ({"backbone": "nowhere"}, "no T5 backbone 'nowhere'"),
    ({"source": "mirror", "mirror": "nowhere"}, "the mirror 'nowhere' is not a folder"),
    ({"mirror": "nowhere"}, "mirror has no effect with the embedded source: add `-p source mirror`")])
def test_wrong_parameters_are_one_line(given, line, tiny_t5, tmp_path, monkeypatch):
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path))
    space = {"task": "rotten_tomatoes", "train": None, "profile": "embedded", "deltas": "all", "seeds": "0",
             "backbone": tiny_t5, "source": None, "mirror": None, "steps": None, "setting": None} | given
    with pytest.raises(ParameterError, match=line) as error:
        report.open_served(report.check(space, train=str))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_which_setting_serves_a_task(tiny_t5, tmp_path, monkeypatch):
    """A task of the multi-task setting is served by it once its subspace exists; other tasks only on request."""
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path))
    monkeypatch.setattr(suite, "BRIEF", few := ("glue-sst2", "dream"))
    space = {"train": None, "setting": None, "profile": "embedded", "seeds": "0", "backbone": tiny_t5,
             "source": None, "mirror": None, "steps": 1}

    def served(task, **given):
        p = report.check(space | {"task": task} | given, train=str)
        run = report.open_served(p)
        return run, p, prose.subspace(p, run).data
    run, p, told = served("qasc")
    assert (run.profile.setting, p.train) == ("single", ["dream"])
    assert "`-p setting multi` computes the other" in told
    run, p, told = served("qasc", setting="multi")
    assert (run.profile.setting, set(p.train), run.profile.y) == ("multi", set(few), 100)
    assert "the multi-task setting, 2 training tasks, y = 100" in told
    stages.approximate(run, p.train, [0])
    run, p, told = served("qasc")
    assert (run.profile.setting, set(p.train)) == ("multi", set(few))
    assert "stands in" not in told
    for task, given, train in (("qasc", {"seeds": "0,1"}, "dream"), ("qasc", {"setting": "single"}, "dream"),
                               ("qasc", {"y": 8}, "dream"), ("qasc", {"train": "glue-sst2"}, "glue-sst2"),
                               ("rotten_tomatoes", {}, "glue-sst2")):
        run, p, _ = served(task, **given)
        assert (run.profile.setting, p.train) == ("single", [train]), (task, given)


def test_from_nothing_to_a_table(tiny_t5, tmp_path, monkeypatch):
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path))
    space = {"train": "glue-sst2", "tasks": "rotten_tomatoes", "profile": "embedded", "seeds": "0,1",
             "backbone": tiny_t5, "source": None, "steps": 1}
    p = report.check(space)
    run = report.open_run(p, caps={"train": 32, "dev": 8, "test": 12}, max_length=48)
    found = report.collect(run, p.unseen, p.seeds)
    assert len(found.frame) == 2 * 9
    assert found.frame.notna().all().all()
    assert found.frame.ori.between(0, 100).all()
    stages = {i.split("/")[0] for i in found.ids}
    assert stages == {"original", "approximate", "optimize", "transfer", "controls", "lengthened"}
    for identity in found.ids:
        assert (tmp_path / "embedded" / identity / "metrics.json").is_file(), "every id leads to a folder"
    assert "stand-in data" in found.caption("x").data
    assert "`steps=1, backbone=" in found.caption("x").data
    assert "unequal" not in found.caption("x").data
    assert len(grid(anatomy.table(run, p.train, 0))) == 4
    assert "singular value of Proj_up is" in anatomy.told(run, p.train, p.seeds).data
    line = report.open_run(p, caps={"train": 32, "dev": 8, "test": 12}, max_length=48, y=1)
    assert "Proj_up has one direction (y is 1)" in anatomy.told(line, p.train, p.seeds).data
    assert "inf" not in anatomy.told(line, p.train, p.seeds).data
    assert figures.training_curves(run, p.train, p.seeds).axes
    assert figures.trajectories(found).axes
    told = (tmp_path / "embedded" / "progress.log").read_text()  # not in cells
    assert all(f" {stage}" in told for stage in ("original", "approximate", "optimize")), "what is trained"
    assert all(f" {stage} 1 of " in told for stage in ("transfer", "controls", "lengthened")), "and what is scored"


def test_a_store_that_cannot_be_written_is_opened_all_the_same(tiny_t5, tmp_path, monkeypatch):
    class Refused(logging.FileHandler):
        def __init__(self, *args, **options):
            raise PermissionError
    monkeypatch.setattr(opening.logging, "FileHandler", Refused)
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path))
    p = report.check({"train": "glue-sst2", "tasks": "rotten_tomatoes", "profile": "embedded", "seeds": "0",
                      "backbone": tiny_t5, "source": None, "steps": 1})
    assert len(report.open_run(p).data("rotten_tomatoes", 0).test) > 0
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path / "file"))
    with pytest.raises(ParameterError, match="which is a file; allowed: a folder, given by .UNIDELTA_RUNS"):
        report.open_run(p)


def test_a_training_task_whose_rows_cannot_be_had_is_told_first(tiny_t5, tmp_path, monkeypatch):
    run = stages.Run.open("embedded", str(tmp_path), backbone=tiny_t5, steps=1, device="cpu")
    monkeypatch.setattr(workbench, "fit", lambda *args, **options: pytest.fail("something is trained"))
    for of in (report.collect, report.collect_shared):
        with pytest.raises(ParameterError, match="no embedded stand-in for task .financial_phrasebank."):
            of(run, ["rotten_tomatoes"], [0], ["financial_phrasebank"])


def test_variants_are_all_opened_before_any_is_computed(tiny_t5, tmp_path, monkeypatch):
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path))
    p = report.check({"train": "glue-sst2", "tasks": "rotten_tomatoes", "profile": "embedded", "seeds": "0",
                      "backbone": tiny_t5, "source": None, "steps": 1})
    for text, told in (("y=2; yy=3", "variant 'yy=3': unknown setting 'yy'; allowed: adapter, "),
                       ("profile=mini", "unknown setting 'profile'"), ("root=elsewhere", "unknown setting 'root'"),
                       ("setting=multi", "add train=NAME"),
                       ("y=2; train=glue-sst2+foo", "train 'foo' is unknown"),
                       ("y=2; backbone=nowhere", "nowhere")):
        with pytest.raises(ParameterError, match=told):
            report.compare(p, text, p.unseen)
    assert not list(tmp_path.glob("*/*/*/metrics.json"))
    found = report.compare(p, "y=2", p.unseen, ["amazon_polarity"])
    assert [set(r.frame.train) for r in found.values()] == 2 * [{"amazon_polarity"}]
    assert found["y=2"].run.profile.y == 2


def test_budgets_that_do_not_agree_are_told(tiny_t5, tmp_path):
    run = stages.Run.open("embedded", str(tmp_path), backbone=tiny_t5, lora={"rank": 4, "scale": 4.0})
    assert f"; **unequal** N: adapter {run.delta('adapter').numel:,}, lora {run.delta('lora').numel:,}, prefix " \
        in report.setting(run, [0])


def test_a_page_has_one_panel_for_a_task(two):
    planes.apart(["rotten_tomatoes"], None)
    planes.apart(["scitail"], two)
    told = "the plane of rotten_tomatoes is shown from the archive: add `-p archive none`"
    with pytest.raises(ValueError, match=told):
        planes.apart(["scitail", "rotten_tomatoes"], two)


def test_a_page_of_many_tasks_chooses_among_its_own():
    train, unseen = suite.multi("embedded")
    space = {"train": "all", "tasks": "all", "profile": "embedded", "source": None}
    p = report.check(dict(space), many=True)
    assert (p.train, p.unseen) == (train, unseen)
    p = report.check(space | {"train": f"{train[1]},{train[0]}", "tasks": "qasc"}, many=True)
    assert (p.train, p.unseen) == ([train[1], train[0]], ["qasc"])
    with pytest.raises(ParameterError, match="tasks 'scitail' is unknown"):
        report.check(space | {"tasks": "scitail"}, many=True)


def test_what_a_mirror_lacks_is_left_out_where_all_tasks_are_asked_for(tmp_path, capsys):
    for name in ("glue-sst2", "rotten_tomatoes", "dream", "qasc"):
        task = tasks.get(name)
        file = mirror_of.location(tmp_path, task.hub, task.config, mirror_of.physical(task, "train")[0])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    folder = str(tmp_path)
    assert suite.single("mirror", folder) == {"glue-sst2": ["rotten_tomatoes"]}, "nothing is left to serve with dream"
    assert suite.multi("mirror", folder) == (["glue-sst2", "dream"], ["rotten_tomatoes", "qasc"])
    space = {"train": "all", "tasks": "all", "profile": "mini", "source": None, "mirror": folder}
    p = report.check(dict(space))
    assert (p.train, p.unseen) == (["glue-sst2"], ["rotten_tomatoes"])
    told = capsys.readouterr().out
    assert told.startswith("The mirror lacks ")
    assert told.endswith(": left out where all tasks are asked for.\n")
    assert {"eli5-asks", "glue-mnli"} < set(re.split("[ ,:]+", told)) - {"glue-sst2", "rotten_tomatoes", "dream"}
    assert report.check(dict(space), many=True).unseen == ["rotten_tomatoes", "qasc"]
    with pytest.raises(ParameterError, match="train 'glue-mnli' is unknown"):
        report.check(space | {"train": "glue-mnli"})
    with pytest.raises(ParameterError, match="is not a folder"):
        report.check(space | {"mirror": str(tmp_path / "none")})


def test_the_results_on_one_page(two):
    """An aim is met by the whole interval, by the mean only, or not. Tasks that hold an average back, lowest first."""
    many = results({"qasc": (100.0, [85.0, 87.0, 89.0]), "ai2_arc": (100.0, [85.0, 87.0, 89.0])})
    lower, higher = (results({"qasc": (100.0, 3 * [v]), "ai2_arc": (100.0, 3 * [v])}) for v in (80.0, 100.0))
    for r in (many, lower, higher):
        r.frame["train"] = "dream"
    long = results({"eli5-asks": (20.0, 3 * [10.0])})
    found = outcome.headlines(
        two, {"unchanged": two, "backbone=comparing": lower, "many tasks": many, "many tasks, backbone=rebuilt": lower,
              "many tasks, backbone=shorter": higher}, {"unchanged": long, "many tasks": long})
    assert [(h.n, h.met) for h in found] == [
        (1, "yes"), (2, "yes"), (1, "–"), (2, "–"), (1, "no"), (2, "no"), (3, "no"), (4, "mean only"),
        (3, "no"), (4, "no")], "aims of 85, 83, none, 85, 83, 89, 85"
    assert found[4].value == pytest.approx((190 / 3, 1.0), abs=1)
    assert found[-2].value[0] == pytest.approx((87 + 87 + 50) / 3)
    rows = grid(outcome.table(found, None, {}))
    assert rows[1][:4] == ["One training task, in the subspace label words shared: 1", "90.0 ± 2.8", "100.4", "–"], \
        "comparing knows fewer wordings"
    assert rows[7][3] == "89.0 ± 25.2 (3)"
    assert rows[7][4] == "60.0 training solution as it is"
    assert rows[7][5:7] == ["65.0", "10.0"]
    drawn = outcome.figure(found).data
    assert drawn.startswith('<img alt="Every average: ours, '), "its text goes with it"
    assert 'src="data:image/png;base64,iVBORw0KGgo' in drawn
    head, first, *_, own, moved, _, _ = grid(outcome.table(found, None, {"unchanged": two}))
    assert head[2] == "3 seeds"
    assert first[1:3] == ["90.0 ± 2.8", "90.0 ± 2.8"]
    assert own[2] == moved[2] == "–", "of one training task alone"
    *_, own, moved, every, _ = grid(outcome.table(found, None, {"unchanged": two, "multi_task: unchanged": many}))
    assert own[1:3] == ["87.0 ± 5.0", "87.0 ± 5.0"]
    assert own[2] == moved[2]
    assert every[2] == "–", "the long answers were not run with as many"
    assert outcome.missing(found).data.startswith(
        "- One training task, in the subspace (all tasks): `eli5-asks` 50.0"), "over all tasks alone"
    many.frame["train"] = "codah+dream"
    assert grid(outcome.other_settings({"unchanged": two, "y=16": two}, {"many tasks, y=50": many})) == [
        ["setting", "seeds", "in the subspace (aim 85)", "transferred (aim 83)"],
        ["unchanged", "3", "90.0 ± 2.8", "90.0 ± 2.8"], ["y=16", "3", "90.0 ± 2.8", "90.0 ± 2.8"]]
    assert outcome.other_settings({}).data == "No other settings are shown."
    assert outcome.missing([found[2]]).data == "No aim was set for these rows."
    assert outcome.missing(found[:2]).data == "Every aim is cleared by the whole interval."
    low = outcome.headlines(
        results({"rotten_tomatoes": (90.0, 3 * [45.0]), "amazon_polarity": (90.0, 3 * [81.0])}), {}, {})
    assert outcome.missing(low[:1]).data == (
        "- One training task, in the subspace (label words shared): `rotten_tomatoes` 50.0 (66.7); "
        "over the other 1 task the average is 90.0.")
    assert len(low) == 2, "one setting, one group"


def test_differences_of_undefined_ratios_are_a_sentence():
    none = results({"rotten_tomatoes": (0.0, [0.0, 0.0])})
    assert "every $E_{\\mathrm{ori}}$ is zero" in comparing.task_by_task(measures.gains(none, ["scaled_solution"])).data


def test_differences_task_by_task_and_without_the_one_that_adds_most():
    found = results({"rotten_tomatoes": (100.0, [60.0, 62.0, 64.0]), "amazon_polarity": (100.0, [90.0, 92.0, 94.0])})
    found.frame.loc[found.frame.source != found.frame.target, "sub"] -= 5
    base = replace(found, frame=found.frame.assign(sub=found.frame["sub"] - 1))
    rows = grid(comparing.task_by_task(measures.gains(found, ["scaled_solution"], base)))
    assert rows[0] == ["unseen task", "in the subspace, over the unchanged settings",
                       "in the subspace, over the training solution, length fitted",
                       "transferred, over the unchanged settings",
                       "transferred, over the training solution, length fitted"]
    assert rows[1][:3] == ["rotten_tomatoes", "+1.0 ± 0.0", "-3.0 ± 5.0"], "62 - 65"
    assert rows[2][4] == "+22.0 ± 5.0", "87 - 65"
    assert rows[3][2] == "+12.0 ± 5.0"
    assert rows[4][2] == "-3.0 ± 5.0 without amazon_polarity"


def test_table_five_is_held_to_its_aim_cell_by_cell(two):
    fine = results({"rotten_tomatoes": (100.0, 3 * [96.0])}, kinds=("adapter", "lora", "prefix", "finetune"))
    fine.frame.loc[fine.frame.target == "finetune", "sub"] = 90.0
    last = grid(outcome.table(outcome.headlines(two, {}, {}), fine, {}))[-1]
    assert last[0] == "Fine-tuning among the methods, each of 16 directions"
    assert last[1:3] == ["90.0 to 96.0", "95.0 to 101.2"]
    assert last[-1] == "95.0: 12 of 16"
    more = {"unchanged": two, "finetune: unchanged": fine}
    last = grid(outcome.table(outcome.headlines(two, {}, {}), fine, more))[-1]
    assert last[1:4] == ["90.0 to 96.0", "90.0 to 96.0", "95.0 to 101.2"]


def test_the_first_page_says_what_the_archives_say():
    """Its section *What was found* is written by hand, in words."""
    found = archive.load("backbones")
    single, many = found["unchanged"], found["many tasks"]
    groups = {what: {name: report.relative(f).mean() for name, f in report.rows_of(getattr(single, what)).items()}
              for what in ("own", "moved")}
    assert all(means["label words shared"] > 70 and means["label words not shared"] < 35
               for means in groups.values()), "much; little is left"
    shared = report.rows_of(single.own)["label words shared"]
    assert report.relative(shared, "train_solution").mean() > 0.5 * report.relative(shared).mean(), \
        "a good part without any tuning"
    for name in ("unchanged", "backbone=rebuilt", "backbone=shorter", "backbone=stretches"):
        rows = report.rows_of(found[name].own)["label words shared"]
        assert abs(report.relative(rows).mean() - report.relative(rows, "scaled_solution").mean()) < 5, \
            "nearly all with one number fitted, on every draw"
    few = archive.load("trained_directions")["one training task"].frame
    assert few.effective.groupby(few.pipeline).mean().max() < 1.3, "hardly more than a line"
    assert abs(report.relative(many.own).mean() - report.relative(many.own, "random").mean()) < 5, \
        "a random subspace does nearly as well"


def test_what_a_subspace_holds_of_its_training_tasks():
    held = results({"glue-sst2": (90.0, [80.0, 81.0, 82.0])})
    assert grid(tables.absolute(held))[0][0] == "training task"
    assert grid(tables.absolute(results({"rotten_tomatoes": (90.0, [80.0])})))[0][0] == "unseen task"
    chance = FREE["chance"]
    assert prose.held(held).data.endswith(
        "0 of 3 pairs of training task and delta are less than 15 points above chance, on average over seeds.")
    low = results({"glue-sst2": (90.0, [chance + 14.0, chance + 14.0, chance + 14.0])})
    said = ("3 of 3 pairs of training task and delta are less than 15 points above chance, on average over seeds: "
            f"`glue-sst2` (chance {chance:.0f}) "
            f"Adapter {chance + 14:.0f}, LoRA {chance + 14:.0f}, ")
    assert said in prose.held(low).data


def test_what_rounds_to_zero_has_no_sign():
    assert [report.number(-0.04), report.number(-0.04, 1.0), measures.signed(-0.04)] == ["0.0", "0.0 ± 1.0", "+0.0"]
    assert [report.number(92.35), measures.signed(-0.06)] == [f"{92.35:.1f}", "-0.1"], "rounded as it is written"


def test_tasks_that_no_delta_learns_are_named():
    good, low = results({"rotten_tomatoes": (90.0, [80.0] * 3)}), results({"qasc": (55.0, [50.0] * 3)})
    assert prose.unlearnt({"easy": good, "hard": low}).data.startswith("No delta learns `hard` in its own space: each ")
    assert prose.unlearnt({"easy": good}).data == "Every task here is learnt by some delta in its own space."


def test_directions_and_lengths():
    """For each pair of deltas: as it is, along the path, and with the length fitted. Factors: geometric mean."""
    fitted = results({"rotten_tomatoes": (80.0, [60.0, 60.0, 60.0])})
    frame = fitted.frame.assign(plain=40.0, scaled=72.0, factor=1.0, **{f"x {f:.2f}": 50.0 for f in FACTORS})
    frame.loc[(frame.source == "prefix") & (frame.target == "lora") & (frame.seed == 0), "factor"] = 2.0
    fitted = Results(fitted.run, fitted.seeds, frame, fitted.ids)
    rows = grid(rescaling.table(fitted))
    assert ["Prefix → LoRA", "50.0 ± 0.0", "75.0 ± 0.0", "90.0 ± 0.0", f"{2 ** (1 / 3):.2f}"] in rows
    assert rows[-1] == ["label words shared (1)", "50.0 ± 0.0", "75.0 ± 0.0", "90.0 ± 0.0", ""], \
        "over all directions a factor says nothing"
    said = rescaling.told(fitted, fitted).data
    assert ("it adds -25.0 ± 0.0 points (interval excludes zero) to the best that the other deltas reach "
            "without tuning (training solution as it is; chance is not counted)") in said
    assert "50.0 ± 0.0 %" in said
    assert "90.0 ± 0.0 % if its length" in said
    assert said.endswith("to 1.26 (Prefix → LoRA).")
    picture = rescaling.figure(fitted)
    assert len(picture.axes) == 3
    assert [
        line.get_ydata().tolist() for line in picture.axes[0].lines if len(line.get_xdata()) == len(FACTORS)
    ] == 3 * [7 * [50.0]]


def test_a_cell_is_weak_by_the_untuned_backbone_too():
    """A cell is weak below fifteen points above chance or the untuned backbone, whichever is higher."""
    found = results({"rotten_tomatoes": (90.0, [80.0, 81.0, 82.0])}).own
    for chance, untuned, flagged in ((50.0, 0.0, False), (50.0, 76.0, True), (76.0, 0.0, True), (75.0, 75.0, False)):
        assert report.weak(found.assign(chance=chance, untuned=untuned)).all() == flagged, (chance, untuned)


def test_differences_are_paired_by_seed_whatever_seeds_there_are():
    one = results({"rotten_tomatoes": (100.0, [80.0, 60.0, 40.0])}).own
    later = one.assign(seed=one.seed + 1, sub=one["sub"].mean())  # seeds 1, 2, 3: 60 each
    assert measures.gain(one, later)[0] == pytest.approx(10.0), "seeds 1 and 2 alone have both: 60 - 60 and 60 - 40"


def test_no_difference_is_no_effect():
    assert measures.points(0.0, 0.0).endswith("(interval includes zero)")
    assert measures.points(-1.0, 0.5).endswith("(interval excludes zero)")


class Coded:
    """Stages that compute nothing: every score is a number of its own, so that it shows where it comes from."""

    def __init__(self):
        self.code = {}

    def value(self, *what):
        return self.code.setdefault(what, (1 + len(self.code)) / 1000)

    def artifacts(self, name, keys, metrics):
        return {key: SimpleNamespace(id=f"{name}/{'-'.join(map(str, key))}", config={"solutions": [f"of/{name}"]},
                                     metrics=metrics(*key)) for key in keys}

    def single(self, name, kinds):
        keys = [("qasc", k, s) for k in kinds for s in (0, 1)]
        return lambda *given, **options: self.artifacts(
            name, keys, lambda t, k, s: {m: self.value(name, m, k, s) for m in ("dev", "test")})

    def square(self, name, kinds, of=("dev", "test", "plain", "factor")):
        return lambda *given, **options: self.artifacts(name, [("qasc", 0), ("qasc", 1)], lambda t, s: {
            m: {a: {b: self.value(name, m, a, b, s) for b in kinds} for a in kinds} for m in of})

    def row(self, name, kinds, *columns):
        return lambda *given, **options: self.artifacts(name, [("qasc", 0), ("qasc", 1)], lambda t, s: {
            m: {k: self.value(name, m, k, s) for k in kinds} for m in columns}
            | {m: self.value(name, m, s) for m in measures.FREE})


RUN = SimpleNamespace(data=lambda task, seed: None)


def test_every_column_is_of_its_own_stage_and_delta(monkeypatch):
    coded = Coded()
    for name, stage in {"original": coded.single("ori", KINDS), "approximate": lambda *given: {},
                        "transfer": coded.square("sub", KINDS), "optimize": coded.single("random", KINDS),
                        "lengthened": coded.row("long", KINDS, "dev", "test"),
                        "controls": coded.row("still", KINDS, "train_solution", "own_vector", "mean_vector")}.items():
        monkeypatch.setattr(report.results, name, stage)
    found = report.results.collect(RUN, ["qasc"], [0, 1])
    for _, r in found.frame.iterrows():
        t, s = r.target, r.seed
        expected = {"ori": ("ori", "test", t, s), "sub": ("sub", "test", r.source, t, s),
                    "random": ("random", "test", t, s), "scaled_solution": ("long", "test", t, s),
                    **{c: ("still", c, t, s) for c in ("train_solution", "own_vector", "mean_vector")},
                    **{c: ("still", c, s) for c in measures.FREE}}
        assert {c: r[c] for c in expected} \
            == pytest.approx({c: 100 * coded.code[what] for c, what in expected.items()}), (r.source, t, s)
    assert {"of/ori", "of/sub", "of/random", "of/long", "of/still"} <= set(found.ids)
    for tuned, ran in (((), set()), (["scaled_solution"], {"of/long"})):
        few = report.results.collect(RUN, ["qasc"], [0, 1], tuned=tuned)
        assert {"random", "scaled_solution"} & set(few.frame) == set(tuned)
        assert {"of/random", "of/long"} & set(few.ids) == ran


def test_every_column_of_the_simplified_pipeline_too(monkeypatch):
    coded, kinds = Coded(), (*KINDS, "finetune")
    monkeypatch.setattr(report.results, "original", coded.single("ori", kinds))
    for name, stage in {"shared": lambda *given: {}, "transfer": coded.square("sub", kinds),
                        "optimize": coded.single("random", kinds),
                        "untuned": coded.row("still", kinds, "shared_vector"),
                        "lengthened": coded.row("long", kinds, "dev", "test")}.items():
        monkeypatch.setattr(report.results.shared, name, stage)
    monkeypatch.setattr(report.results, "untouched", coded.row("free", ()))
    for _, r in report.results.collect_shared(RUN, ["qasc"], [0, 1], ["dream"]).frame.iterrows():
        t, s = r.target, r.seed
        expected = {"ori": ("ori", "test", t, s), "sub": ("sub", "test", r.source, t, s),
                    "random": ("random", "test", t, s), "scaled_vector": ("long", "test", t, s),
                    "shared_vector": ("still", "shared_vector", t, s)}
        assert {c: r[c] for c in expected} \
            == pytest.approx({c: 100 * coded.code[what] for c, what in expected.items()}), (r.source, t, s)


def test_every_column_of_what_is_fitted_and_held_too(monkeypatch):
    coded = Coded()
    numbers = coded.square("fit", KINDS)
    curves = lambda *given, **options: {  # noqa: E731
        key: SimpleNamespace(id=a.id, config={}, metrics=a.metrics | {
            "dev": {s: {t: [coded.value("dev", s, t, key[1], i) for i in range(len(FACTORS))]
                        for t in KINDS} for s in KINDS}})
        for key, a in numbers().items()}
    for name, stage in {"original": coded.single("ori", KINDS), "transfer": coded.square("sub", KINDS),
                        "rescaled": curves, "controls": coded.row("still", KINDS)}.items():
        monkeypatch.setattr(rescaling, name, stage)
    for _, r in rescaling.collect(RUN, ["qasc"], [0, 1], ["dream"]).frame.iterrows():
        t, s, at = r.target, r.seed, ("fit", r.source)
        expected = {"sub": ("sub", "test", r.source, t, s), "plain": ("fit", "plain", r.source, t, s),
                    "scaled": ("fit", "test", r.source, t, s)}
        assert {c: r[c] for c in expected} \
            == pytest.approx({c: 100 * coded.code[what] for c, what in expected.items()}), at
        assert r["x 2.00"] == pytest.approx(
            100 * coded.code["dev", r.source, t, s, 6] / coded.code["ori", "dev", t, s]), "of dev, in percent of dev"
    monkeypatch.setattr(report.results, "original", coded.single("ori", KINDS))
    monkeypatch.setattr(report.results, "centroid", lambda *given: coded.artifacts(
        "held", [("qasc", 0), ("qasc", 1)], lambda t, s: {"test": {k: coded.value("held", k, s) for k in KINDS}}))
    monkeypatch.setattr(report.results, "untouched", coded.row("free", ()))
    for _, r in report.results.collect_trained(RUN, ["qasc"], [0, 1]).frame.iterrows():
        assert (r.ori, r["sub"]) == pytest.approx(
            (100 * coded.code["ori", "test", r.target, r.seed], 100 * coded.code["held", r.target, r.seed]))


def test_a_plane_is_in_percent_of_each_deltas_own_test_score(monkeypatch):
    best = dict(zip(KINDS, (0.5, 0.8, 1.0), strict=True))
    monkeypatch.setattr(planes, "original", lambda run, tasks, seeds: {
        (tasks[0], k, seeds[0]): SimpleNamespace(id=k, metrics={"test": v, "dev": 0.1}) for k, v in best.items()})
    tensors = {"scores": torch.full((3, 2, 2), 0.4), "axis": torch.arange(2.0), "points": torch.zeros(3, 2)}
    monkeypatch.setattr(planes, "landscape", lambda run, train, task, seeds, rows: {
        seeds[0]: SimpleNamespace(id="l", tensors=lambda: tensors)})
    plane = planes.drawn(SimpleNamespace(profile=SimpleNamespace(y=4)), [(["dream"], "qasc")], 0, 6)["qasc"]
    assert plane.relative[:, 0, 0].tolist() == pytest.approx([80.0, 50.0, 40.0])
    assert plane.train == "dream"


def test_directions_are_of_the_change_since_the_seeds_own_start(monkeypatch):
    def space(seed):
        maps = {k: Projection.start(40, 3, [seed], k).up[0] for k in KINDS}
        change = torch.zeros(40, 3)
        change[0, 0], change[1, 1] = 3.0, 4.0
        return SimpleNamespace(id=str(seed), tensors=lambda: {f"up.{k}": up + change for k, up in maps.items()})
    monkeypatch.setattr(directions, "approximate", lambda run, train, seeds: {s: space(s) for s in seeds})
    frame = directions.collect(None, [["dream"]], [0, 1], simplified=False).frame
    assert frame["first"].tolist() == pytest.approx(6 * [64.0], rel=1e-3), "16 of 25"
    assert frame.effective.tolist() == pytest.approx(6 * [25**2 / (81 + 256)], rel=1e-3)


def test_settings_on_other_draws_are_joined_to_the_default_and_compared_draw_by_draw():
    """FREE's length fitted is 65; E_ori is 100. Another task of the default draw, and another seed, are left out."""
    def given(*values):
        return {s: results({"qasc": (100.0, [v] * 3)}) for s, v in zip(("unchanged", "wider"), values, strict=True)}
    default = {s: replace(r, frame=pd.concat([r.frame, r.frame.assign(task="dream", sub=0.0),
                                              r.frame.assign(seed=r.frame.seed + 3, sub=0.0)]))
               for s, r in given(60.0, 70.0).items()}
    others = {f"{s}, backbone={draw}": r for draw, values in (("rebuilt", (50.0, 64.0)), ("shorter", (55.0, 67.0)))
              for s, r in given(*values).items()}
    found = settings.with_default(others, default)
    assert len(found) == 6
    assert all(set(r.frame.task) == {"qasc"} and set(r.frame.seed) == set(r.seeds) for r in found.values())
    every = settings.means(found)
    assert every.loc["wider", "moved"].to_dict() == {"embedded": 70.0, "rebuilt": 64.0, "shorter": 67.0}
    assert (every["scaled_solution"] == 65.0).all()
    page = BeautifulSoup(settings.table(found, "unchanged").data, "html.parser")
    assert [cell.text for cell in page.find_all("tr")[-3].find_all("td")][1:] \
        == [measures.CONTROLS["scaled_solution"], "65.0", "65.0", "65.0", "65.0\xa0±\xa00.0"]
    own, moved = settings.answers(found, "unchanged").data.splitlines()
    assert "transferred, over 3 draws: +12.0 ± 5.0 points (interval excludes zero) against `unchanged`" in moved
    assert "+2.0 ± 7.5 points (interval includes zero) over the training solution, length fitted" in moved
    assert own.startswith("- `wider`, in the subspace, over 3 draws: +12.0")


def test_settings_without_a_tuned_control_are_shown_without_it():
    bare = results({"qasc": (100.0, [50.0] * 3)})
    bare = replace(bare, frame=bare.frame.drop(columns="scaled_solution"))
    shown = settings.table({f"unchanged, backbone={draw}": bare for draw in ("embedded", "rebuilt")}, "unchanged").data
    assert "length fitted" not in shown
    assert measures.CONTROLS["train_solution"] in shown
