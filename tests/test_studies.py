"""Archived studies: what each holds, from a tiny run to data and back; one-line refusals; nothing half-written."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from functools import partial
from zipfile import ZipFile

import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup

from unidelta import profiles, stages, suite
from unidelta.projections import KINDS, RATIO
from unidelta.report import (
    archive,
    claims,
    claims_archived,
    comparing,
    directions,
    measures,
    planes,
    settings,
    tables,
    vectors,
    verdicts,
)
from unidelta.report.measures import (
    CONTROLS,
    by_seed,
    by_task,
    gain,
    gains,
    interval,
    over_seeds,
    relative,
    rows_of,
    signed,
)
from unidelta.report.outcome import AIMS
from unidelta.stages import baselines
from unidelta.store import plain
from unidelta.studies import STUDIES
from unidelta.studies import draws as of_draws
from unidelta.studies.__main__ import main
from unidelta.studies.parts import OBJECTIVES

TINY = ["--seeds", "0", "--steps", "1"]
# studies that set the backbone themselves
OF_DRAWS = ("backbones", "settings", "many_settings", "many_weight", "stage1_settings", "stage1_again",
            "wider_mixtures", "wider_search", "spread_draws", "objective_draws")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One store for all studies here, as for the book's: what one has computed, the next ones load."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def study(tiny_t5, runs, tmp_path, monkeypatch):
    """Return a function that runs a study as from the shell and reads its variants back from its archive folder.

    The backbone is tiny, there are few training tasks, and chance is the mean of two guesses."""
    monkeypatch.setenv("UNIDELTA_RUNS", str(runs))
    monkeypatch.setattr(baselines, "DRAWS", 2)
    monkeypatch.setattr(suite, "BRIEF", ("glue-sst2", "amazon_polarity", "imdb"))

    def run(name, task="rotten_tomatoes"):
        own = [] if name in OF_DRAWS else ["--backbone", tiny_t5]
        main([name, *TINY, "--tasks", task, *own, "--device", "cpu", "--out", str(tmp_path / "out")])
        monkeypatch.setattr(archive, "FOLDER", tmp_path / "out")
        return archive.load(name)
    return run


@pytest.mark.parametrize("given, words", [
    (["second"], ["no study 'second'", ", ".join(STUDIES)]),
    (["dimension", "--seeds", "a"], ["--seeds 'a'", "0,1,2"]),
    (["dimension", "--steps", "1"], ["--steps: data/results", "--out"]),
    (["dimension", "--tasks", "scitail", "--seeds", "0"], ["--tasks, --seeds: ", "--out"]),
    (["dimension", "--backbone", "rebuilt"], ["--backbone: ", "--out"]),
    (["dimension", "--profile", "tiny"], ["unknown profile 'tiny'", "embedded, mini, paper"]),
    (["dimension", "--backbone", "nowhere"],
     ["nowhere", "embedded, comparing, rebuilt, shorter, stretches, a local folder"]),
    (["dimension", "--steps", "0", "--out", "x"], ["steps=0", "a whole number from 1"]),
    (["absolute", "--tasks", "qsac", "--out", "x"], ["task 'qsac' is not in this study", "scitail"]),
    (["spread_draws", "--backbone", "stretches", "--out", "x"],
     ["--backbone has no effect on spread_draws", "leave it out"]),
    (["absolute", "--out", __file__], ["--out ", "a file, or cannot be written; allowed: a folder"]),
    (["absolute", "--out", ""], ["--out . is", "allowed: a folder other than the present one"]),
    (["absolute", "--tasks", ","], ["',' contains no name; allowed: names"]),
    (["absolute", "--seeds", "99999999999"], ["up to 2147483647"]),
    (["absolute", "--mirror", "."], ["--mirror has no effect with the embedded source"]),
    (["real_rows", "--seeds", "0", "--out", "x"], ["real_rows needs real rows", "--profile mini"]),
    (["absolute", "--source", "mirror", "--mirror", "nowhere"], ["nowhere", "is not a folder"])], ids=str)
def test_what_is_not_allowed_is_one_line(given, words, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(given)
    said = capsys.readouterr().err.strip()
    assert ended.value.code == 2, said
    assert "\n" not in said, said
    assert said.startswith("unidelta.studies: "), said
    assert all(word in said for word in words), said
    assert not (tmp_path / "x").exists(), "no study and no stage, tokens at most"
    assert not list(tmp_path.glob("runs/embedded/*")), "no study and no stage, tokens at most"


def test_help_names_every_study(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"  {name} " in said and f.__doc__ in said for name, f in STUDIES.items())


def test_planes(study, monkeypatch):
    monkeypatch.setattr(planes, "landscape", partial(planes.landscape, step=4.0))
    results = study("planes", "yelp_polarity")["as it is"]
    plane, = planes.from_frame(results.frame, results.ids).values()
    assert plane.train == "3 tasks"
    assert plane.axis.tolist() == [-4, 0, 4]
    assert plane.relative.shape == (3, 3, 3)
    assert plane.points[0].tolist() == [0, 0]
    assert "multi-task setting" in results.line
    assert {i.split("/")[0] for i in results.ids} == {"landscape", "original"}


def test_multi_task(study):
    found = study("multi_task")
    results, fitted, trained = (found[name] for name in ("as it is", "length fitted", "its training tasks"))
    assert set(results.frame.train) == {"amazon_polarity+glue-sst2+imdb"}
    assert len(results.frame) == 9
    assert results.frame.notna().all().all()
    assert results.run.profile.y == 100
    assert "multi-task setting" in results.line
    assert "changed from the profile: `steps=1, " in results.line
    assert "approximate_" not in results.line, "and not what follows from it"
    assert len(results.logs("approximate")) == 1
    assert "task.prefix" in results.logs("approximate")[0][0]["parts"]
    assert len([i for i in results.ids if i.startswith("original/")]) == 3 * 4, \
        "of the unseen task and the three training tasks"
    assert len(fitted.frame) == 9
    assert fitted.frame[["sub", "plain", "scaled", "factor"]].notna().all().all()
    assert (fitted.frame["sub"] == results.frame["sub"]).all()
    assert "rescaled" in {i.split("/")[0] for i in fitted.ids}
    assert list(dict.fromkeys(trained.frame.task)) == ["amazon_polarity", "glue-sst2", "imdb"]
    assert len(trained.frame) == 9
    assert {i.split("/")[0] for i in trained.ids} == {"original", "approximate", "centroid", "untouched"}
    assert "not run" in tables.published(results, 3).data
    assert claims_archived.slowest(results)[2] == "open"


def test_simplified_and_dimension_share_what_they_have_in_common(study):
    simple = study("simplified")
    assert set(simple) == {"single", "multi"}
    assert [len(r.frame) for r in simple.values()] == [9, 9]
    assert simple["multi"].run.profile.y == 100
    found = study("dimension")
    assert list(found) == ["as it is", "many tasks, y=20", "many tasks, y=50", "many tasks, y=100", "y=8", "y=16"], \
        "in the order of the numbers"
    assert [r.run.profile.y for r in found.values()] == [4, 20, 50, 100, 8, 16]
    assert all("random" in r.frame for r in (simple | found).values())
    assert all("mean_vector" in r.frame for r in found.values()), "controls beside all"
    originals = {name: frozenset(i for i in r.ids if i.startswith("original/rotten"))
                 for name, r in (simple | found).items()}
    many = {name for name in originals if "many" in name or name == "multi"}
    assert [len({ids for name, ids in originals.items() if (name in many) == several})
            for several in (False, True)] == [1, 1], "once in each setting"
    shared = [{i for i in r.ids if i.startswith("shared/")} for r in simple.values()]
    assert [len(ids) for ids in shared] == [1, 1]
    assert not shared[0] & shared[1], "each setting trains its own vector"


def test_rows_with_long_answers_stand_apart_in_the_simplified_pipeline_too(study):
    found = study("simplified", "eli5-asks")
    assert set(found) == {"single, long answers", "multi, long answers"}
    assert all({*r.frame.task} == {"eli5-asks"} for r in found.values())
    assert {*found["single, long answers"].frame.train} == {"eli5-eli5"}
    assert found["multi, long answers"].run.profile.y == 100


def test_absolute_keeps_scores_alone(study, tmp_path):
    results = study("absolute")["as it is"]
    assert list(results.frame.target) == ["adapter", "lora", "prefix", "finetune"]
    assert "sub" not in results.frame
    assert {i.split("/")[0] for i in results.ids} == {"original", "untouched"}
    before = (tmp_path / "out" / "absolute" / "as_it_is" / "about.json").read_text()
    study("absolute")
    assert (tmp_path / "out" / "absolute" / "as_it_is" / "about.json").read_text() == before
    assert json.loads(before)["seeds"] == [0]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["absolute"], "nothing is left beside it"


def test_the_reconstruction_is_weighed_in_the_multi_task_setting(study):
    found = study("reconstruction")
    assert {name: "ratio=" in r.line for name, r in found.items()} == {
        "as it is": False, "ratio=0.02": True, "ratio=1": True}
    approximated = [{i for i in r.ids if i.startswith("approximate/")} for r in found.values()]
    assert len(set().union(*approximated)) == 3, "a subspace of its own for every weight"


def test_the_square_is_moved(study):
    found = study("finetune")
    assert list(found) == ["as it is", "three times the steps of stage 2", "two training tasks", "y=16"]
    assert all(len(r.frame) == 16 and {"scaled_vector", "random"} <= set(r.frame) for r in found.values())
    assert {*found["two training tasks"].frame.train} == {"glue-sst2+imdb"}
    assert found["y=16"].run.profile.y == 16


def test_directions_are_those_that_stage_1_changed(study):
    """Compare the directions of the two pipelines.

    In the simplified one, all methods of a training task share one vector, so every gradient of their maps points along
    it. In the main one, three deltas have three vectors."""
    found = study("trained_directions", "glue-sst2")
    assert {name: len(r.frame) for name, r in found.items()} == {
        "one training task": 6, "one training task, y=16": 3, "one training task, wider mixtures": 3,
        "many training tasks": 6}
    one = found["one training task"].frame
    assert (one[one.pipeline == "simplified"]["first"] > 99.9).all()
    assert one["first"].between(0, 100.001).all()
    assert one.effective.between(1, 4).all()
    assert (found["many training tasks"].frame.tasks == 3).all()
    assert found["one training task, y=16"].run.profile.y == 16
    assert found["one training task, wider mixtures"].frame.effective.min() \
        > one[one.pipeline == "main"].effective.max(), "noise is another vector"
    rows = BeautifulSoup(directions.table(found).data, "html.parser").find_all("tr")
    assert len(rows) == 7
    assert "many" in rows[-1].text
    assert "one direction holds" in directions.told(found["one training task"]).data
    assert directions.effective(torch.tensor([3.0, 3.0, 0.0])) == pytest.approx(2)
    assert directions.effective(torch.tensor([5.0, 0.0])) == 1


def test_the_second_group_is_moved(study):
    found = study("second_group", "superglue-rte")
    assert set(found) == {"as it is", "y=16", "optimize_init=train", "optimize_steps=180", "train=glue-mnli+glue-qqp"}
    assert found["y=16"].run.profile.y == 16
    assert set(found["train=glue-mnli+glue-qqp"].frame.train) == {"glue-mnli+glue-qqp"}


def test_spread_changes_the_mixtures_of_stage_1_alone(study):
    found = study("spread", "rotten_tomatoes")
    assert list(found) == ["as it is", "more of stage 1", "wider mixtures", "wider mixtures and search", "wider search"]
    assert "approximate_spread=0.5" in found["wider mixtures"].line
    assert "optimize_spread=0.5" in found["wider search"].line
    usual, search = (set(found[name].ids) for name in ("as it is", "wider search"))
    assert {i.split("/")[0] for i in usual & search} == {"original", "approximate", "controls", "lengthened"}
    same, wider = (set(found[name].ids) for name in ("more of stage 1", "wider mixtures"))
    assert {i.split("/")[0] for i in same & wider} == {"original", "lengthened"}
    assert all("random" in r.frame for r in found.values())


def test_spread_has_twice_the_seeds(study):
    found = study("spread_seeds", "rotten_tomatoes")
    assert list(found) == ["as it is", "wider mixtures", "wider mixtures and search"]
    assert all(r.seeds == [0, 1] for r in found.values())
    assert all("scaled_solution" in r.frame and "random" not in r.frame for r in found.values())
    assert "optimize_spread=0.5" in found["wider mixtures and search"].line
    assert "optimize_spread" not in found["wider mixtures"].line


def test_spread_on_the_other_draws(study):
    found = study("spread_draws", "rotten_tomatoes")
    assert list(found) == [f"{name}, backbone={draw}" for name in ("as it is", "wider mixtures and search")
                           for draw in ("rebuilt", "shorter", "stretches")]
    for r in found.values():
        assert r.seeds == [0]
        assert "report_on" not in r.line
        assert "scaled_solution" in r.frame
        assert "random" not in r.frame
    spread = ["optimize_spread=0.5" in r.line and "approximate_spread=0.5" in r.line for r in found.values()]
    assert spread == 3 * [False] + 3 * [True]
    assert len({r.line.split("backbone `")[1][:16] for r in found.values()}) == 3


def test_the_objective_on_the_other_draws(study, monkeypatch):
    monkeypatch.setattr(of_draws, "DRAWS", ("embedded", "rebuilt"))  # one other draw will do here
    found = study("objective_draws")
    assert list(found) == [f"{name}, backbone=rebuilt" for name in OBJECTIVES]
    assert all("scaled_solution" in r.frame and "random" not in r.frame for r in found.values())
    assert ["variant=paper" in r.line for r in found.values()] == [False, True, False]
    assert "ratio=10.0" in found["variant=released, ratio=10, backbone=rebuilt"].line


def test_backbones_are_all_that_are_shipped(study):
    found = study("backbones")
    assert list(found) == [
        "as it is", *(f"backbone={n}" for n in ("comparing", "rebuilt", "shorter", "stretches")),
        *(f"many tasks{n}" for n in ("", ", backbone=rebuilt", ", backbone=shorter", ", backbone=stretches"))]
    prints = [r.line.split("backbone `")[1][:16] for r in found.values()]
    assert len(set(prints)) == 5
    assert prints[5:] == [prints[0], *prints[2:5]]
    assert "backbone=comparing" in found["backbone=comparing"].line
    assert [len(r.frame) for r in found.values()] == 9 * [9]
    assert ["multi-task setting" in r.line for r in found.values()] == 5 * [False] + 4 * [True]


def test_twice_the_seeds(study):
    found = study("more_seeds", "rotten_tomatoes")
    assert set(found) == {"as it is", "multi_task: as it is", "finetune: as it is", "simplified: single",
                          "simplified: multi", "dimension: y=8", "dimension: y=16"}
    assert all(r.seeds == [0, 1] and set(r.frame.seed) == {0, 1}
               and len(r.frame) == 2 * (16 if name.startswith("finetune") else 9)
               for name, r in found.items())
    assert ["multi-task setting" in found[name].line
            for name in ("as it is", "multi_task: as it is", "simplified: multi")] == [False, True, True]
    assert [found[f"dimension: y={y}"].run.profile.y for y in (8, 16)] == [8, 16]


def test_a_task_of_one_part_alone_is_asked_of_that_part(study):
    assert set(study("more_seeds", "superglue-rte")) == {
        "as it is", "simplified: single", "dimension: y=8", "dimension: y=16"}


def test_settings_are_told_by_spare_rows_of_every_draw(study, monkeypatch):
    assert of_draws.DRAWS == ("embedded", "rebuilt", "shorter", "stretches")
    names, draws = ("former settings", "wider grid, fewer steps", "prefix=released", "both"), ("embedded", "shorter")
    monkeypatch.setattr(of_draws, "DRAWS", draws)  # two will do here
    found = study("settings")
    assert set(found) == {f"{name}, backbone={draw}" for name in names for draw in draws}
    assert all("report_on=spare" in r.line and "random" not in r.frame and r.frame.train_solution.notna().all()
               for r in found.values())
    assert len({r.line.split("backbone `")[1][:16] for r in found.values()}) == 2
    first = settings.table(found, "former settings").data
    assert first.index("former settings") < first.index("both"), "what the others are compared with stands first"
    assert "prefix=released" in first
    assert set(settings.changes(found, "former settings")) == set(names[1:])
    assert "undecided" in settings.verdicts(found, "former settings").data


@pytest.mark.parametrize("name, others, many", [
    ("many_settings", ["more of both stages"], True), ("many_weight", ["more reconstruction"], True),
    ("stage1_settings", ["more of stage 1"], False), ("stage1_again", ["one look", "more of stage 1"], False),
    ("wider_mixtures", ["more of stage 1", "wider mixtures"], False),
    ("wider_search", ["wider search", "wider mixtures", "wider mixtures and search"], False)])
def test_other_settings_are_asked_in_the_same_way(study, monkeypatch, name, others, many):
    monkeypatch.setattr(of_draws, "DRAWS", ("embedded",))
    found = study(name)
    assert set(found) == {f"{setting}, backbone=embedded" for setting in ("former settings", *others)}
    assert all(r.seeds == ([2] if name in ("stage1_again", "wider_mixtures", "wider_search") else [0])
               for r in found.values())
    assert all("report_on=spare" in r.line and ("multi-task setting" in r.line) == many for r in found.values())


def test_what_every_draw_is_asked_is_all_opened_first(tmp_path):
    opened = []

    def open_run(**settings):
        opened.append(settings)
        return profiles.get("embedded", **settings | {"backbone": None})

    for change, told in (({"yy": 3}, "unknown setting 'yy'"),
                         ({"backbone": "stretches"}, "'other': backbone is fixed here and cannot be changed; "
                                                     "neither can report_on or train"),
                         ({"train": "a+b"}, "train is fixed here")):
        with pytest.raises(ValueError, match=told):
            of_draws.on_every_draw(open_run, {"as it is": {}, "other": change}, ["qasc"], [0])
    assert len(opened) == len(of_draws.DRAWS) + 1, "and nothing is collected"


def test_spare_rows_are_of_unseen_tasks_alone(tmp_path):
    """A training task, and so its solutions, are the same whatever rows the unseen tasks are reported on."""
    prints = {(setting, on, task): stages.Run.open(
                  "embedded", str(tmp_path), setting=setting, report_on=on).data(task, 0).fingerprint
              for setting in ("single", "multi") for on in ("test", "spare")
              for task in ("amazon_polarity", "rotten_tomatoes")}
    same = {(setting, task): prints[setting, "test", task] == prints[setting, "spare", task]
            for setting, _, task in prints}
    assert same == {("single", "amazon_polarity"): False, ("single", "rotten_tomatoes"): False,
                    ("multi", "amazon_polarity"): True, ("multi", "rotten_tomatoes"): False}, \
        "amazon_polarity is trained on among many"


@pytest.mark.parametrize("own, moved, verdict", [
    ([2, 3, 2, 3], [1, 2, 1, 2], "better"), ([-2, -3, -2, -3], [5, 6, 5, 6], "undecided"),
    ([-2, -3, -2, -3], [1, 0, 1, 0], "worse"), ([9, -9, 9, -9], [1, 1, 1, 1], "undecided")])
def test_a_setting_is_judged_by_the_rule(own, moved, verdict):
    change = pd.DataFrame({"own": own, "moved": moved})
    assert settings.verdict(change.assign(both=change.mean(axis=1))) == verdict


def test_fidelity_changes_one_thing_at_a_time(study):
    found = study("fidelity")
    assert set(found) == {"as it is", "variant=paper", "variant=released, ratio=10", "prefix=natural",
                          "prefix bias=zero", "fastfood=exact", "fastfood=released"}
    configs = {name: {i for i in r.ids} for name, r in found.items()}
    assert all(len(configs[name] & configs["as it is"]) >= 6
               for name in ("variant=paper", "variant=released, ratio=10")), "the originals are the same"
    assert len(found["fastfood=exact"].frame) == 16
    assert {*found["fastfood=released"].frame.target} == {"adapter", "lora", "prefix", "finetune"}
    assert "prefix=natural" in comparing.table(found).data
    assert "'bias': 'zero'" in found["prefix bias=zero"].line
    assert not set(found["prefix bias=zero"].ids) & {i for i in found["as it is"].ids if "prefix" in i}


def test_more_planes(study, monkeypatch):
    monkeypatch.setattr(planes, "landscape", partial(planes.landscape, step=4.0))
    results = study("more_planes")["as it is"]
    assert results.frame[["task", "train", "seed"]].to_numpy().tolist() == [["rotten_tomatoes", "glue-sst2", 0]]
    assert all((results.frame["all"] <= results.frame[k]).all() for k in (*KINDS, "mean"))
    assert {i.split("/")[0] for i in results.ids} == {"landscape", "original"}


def test_the_objective_is_the_papers_or_has_its_weight(study):
    found = study("objective")
    assert all({*r.frame.seed} == {0, 1} for r in found.values())
    cosines = {name: found.pop(f"{name}, its vectors").frame for name in list(found) if "vectors" not in name}
    assert set(found) == set(cosines) == {"as it is", "variant=paper", "variant=released, ratio=10"}
    assert all(len(frame) == 2 * 3 for frame in cosines.values()), "two seeds, three pairs"
    assert "ratio=10.0" in found["variant=released, ratio=10"].line
    spaces = [{i for i in r.ids if i.startswith("approximate/")} for r in found.values()]
    assert len(set().union(*spaces)) == 6, "a subspace for each objective and seed"
    assert len({frozenset(i for i in r.ids if i.startswith("original/")) for r in found.values()}) == 1


def test_long_answers_are_rows_of_both_settings(study):
    found = study("long_answers", "eli5-asks")
    assert set(found) == {"as it is", "approximate_steps=300", "many tasks"}
    assert all({*r.frame.task} == {"eli5-asks"} for r in found.values())
    assert {*found["as it is"].frame.train} == {"eli5-eli5"}
    assert "multi-task setting" in found["many tasks"].line


def test_what_is_archived_is_what_the_store_held(study, tmp_path):
    """Every record lies in the archive as it was, so that its hashes still hold."""
    (results,) = study("absolute").values()
    with ZipFile(tmp_path / "out" / results.folder / archive.PACKED) as packed:
        assert {name.rsplit("/", 1)[0] for name in packed.namelist()} == set(results.ids)
        for i in results.ids:
            said = json.loads(packed.read(f"{i}/metrics.json"))["files"]
            for part in {"config.json", "log.jsonl"} & set(said):
                assert hashlib.sha256(packed.read(f"{i}/{part}")).hexdigest() == said[part]["sha256"]
    assert all(len(log) == 1 and log[0]["step"] == 1 for log in results.logs("original"))


# studies that ask about other settings, on spare rows
ASKED = ("settings", "many_settings", "many_weight", "stage1_settings", "stage1_again",
         "wider_mixtures", "wider_search")


@pytest.mark.parametrize("name", [n for n in archive.names() if n not in ASKED])
def test_what_is_archived_was_obtained_with_todays_settings(name):
    """Check the configurations behind every variant that changes at most the backbone of its profile."""
    checked = 0
    for results in archive.load(name).values():
        if "changed from the profile" in re.sub(r"; changed from the profile: `backbone=\w+`", "", results.line):
            continue
        p = profiles.get(results.line.split("`")[1],
                         setting="multi" if "multi-task setting" in results.line else "single")
        with ZipFile(archive.FOLDER / results.folder / archive.PACKED) as packed:
            configs = [json.loads(packed.read(f"{i}/config.json"))["config"] for i in results.ids]
        for c in configs:
            # the simplified pipeline's grids have names of their own in the profile
            simplified = c["stage"] == "shared" or c.get("subspace", "").startswith("shared/")
            named = {k: v for k, v in c.items() if k in {f.name for f in fields(p)} - {"backbone", "ratio"}
                     and not (simplified and k.startswith(("optimize_", "shared_")))}
            assert named == plain({k: getattr(p, k) for k in named}), c
            if c["stage"] in ("original", "approximate", "shared"):
                assert c.get("ratio") in (None, p.ratio or RATIO.get(p.variant)), c
                checked += 1
            if c["stage"] == "original":
                assert (c["lr"], c["steps"], c.get("original_learnt", 0.0)) \
                    == (*p.original(c["kind"]), p.original_learnt), c
                assert c["sizes"] == p.sizes(c["kind"]), c
    assert checked or name in ("planes", "more_planes")


@pytest.mark.parametrize("name", ASKED)
def test_a_question_about_settings_was_asked_on_spare_rows(name):
    assert all("report_on=spare" in results.line for results in archive.load(name).values())


def test_wider_mixtures_do_what_chapters_18_and_28_say_by_hand():
    asked = archive.load("wider_mixtures")
    for base in ("former settings", "more of stage 1"):
        change = settings.changes(
            {name: r for name, r in asked.items() if name.startswith((base, "wider"))}, base)["wider mixtures"]
        assert settings.verdict(change) == "better"
        assert (change["own"] > 0).all()
        assert (change["moved"] > 0).sum() == 3
    found = {name: (rows_of(r.own)["label words shared"], rows_of(r.moved)["label words shared"])
             for name, r in archive.load("spread").items()}
    over = {name: [interval(by_seed(f) - by_seed(f, "scaled_solution")) for f in both] for name, both in found.items()}
    trained = archive.load("trained_directions")["one training task, wider mixtures"] \
        .frame.groupby("target").effective.mean()
    assert trained.between(2, 3.5).all(), "two to three, where it trained one"
    (mean, half), (sent, width) = over["wider mixtures"]
    assert mean > half
    assert abs(sent) < width
    assert all(abs(m) < h for m, h in (over["as it is"][0], over["more of stage 1"][0]))


def without_the_first(gains):
    """Mean and half interval over all tasks but the one that adds most, and that one's name."""
    most = gains.mean().idxmax()
    return *interval(gains.drop(columns=most).mean(axis=1)), most


@pytest.mark.parametrize(("study", "variant", "known"), [
    ("multi_task", "as it is", False), ("more_seeds", "multi_task: as it is", True)])
def test_one_task_makes_what_many_tasks_add_to_a_random_subspace(study, variant, known):
    """Chapters 17 and 28 and the first page state this in text written by hand."""
    found = measures.gains(archive.load(study)[variant], ["random", "scaled_solution"])
    random, length = (found[f"in the subspace, over the {CONTROLS[c]}"] for c in ("random", "scaled_solution"))
    mean, half, most = without_the_first(random)
    assert most == "blimp-anaphor_number_agreement"
    assert random[most].mean() > 20
    assert 0 < mean < 2, "about a point"
    assert (mean > half) == known
    assert without_the_first(length)[0] > without_the_first(length)[1]
    mean, half, most = without_the_first(found[f"transferred, over the {CONTROLS['scaled_solution']}"])
    assert most == "qasc"
    assert mean < half
    sent = found[f"transferred, over the {CONTROLS['random']}"]
    assert (sent.mean() < 0).sum() > sent.shape[1] / 2


def test_one_task_makes_what_noise_adds_to_one_number():
    """Chapters 18 and 28 and the first page state this in text written by hand."""
    six = archive.load("spread_seeds")
    both, mixed = (measures.gains(six[name], ["scaled_solution"], six["as it is"])
                   for name in ("wider mixtures and search", "wider mixtures"))
    length = CONTROLS["scaled_solution"]
    assert {without_the_first(each)[2] for each in (*both.values(), *mixed.values())} == {"superglue-copa"}
    rest = {name: without_the_first(each)[:2] for name, each in both.items()}
    assert all(mean > half for name, (mean, half) in rest.items() if name != f"transferred, over the {length}")
    mean, half = rest[f"transferred, over the {length}"]
    assert abs(mean) < half
    sent = both[f"transferred, over the {length}"]
    assert [t for t in sent if interval(sent[t], 7)[0] > interval(sent[t], 7)[1]] == [
        "superglue-copa", "quartz-no_knowledge"], "also with intervals widened for seven tasks"
    mean, half, _ = without_the_first(mixed["transferred, over as it is"])
    assert abs(mean) < half
    draws = settings.with_default(archive.load("spread_draws"), archive.load("spread"))
    over = measures.gains(settings.over_draws(draws, "wider mixtures and search"), ["scaled_solution"],
                          settings.over_draws(draws, "as it is"))[f"transferred, over the {length}"]
    assert len(over) == 4
    mean, half, most = without_the_first(over)
    assert most == "superglue-copa"
    assert abs(mean) < half


def test_what_chapters_13_and_24_say_by_hand_of_their_variants():
    group, found = archive.load("second_group"), archive.load("fidelity")
    fast = {name: r for name, r in found.items() if name.startswith("fastfood")}
    for study in (group, {name: r for name, r in found.items() if name not in fast}, fast):
        base, *others = study.values()
        for results in others:
            for what in ("own", "moved"):
                mean, half = gain(getattr(base, what), getattr(results, what))
                assert abs(mean) < half
    assert all(r.own[r.own.task == "glue-mrpc"]["sub"].mean() < 1 for r in group.values()), "MRPC: next to nothing"
    assert group["as it is"].own.query("task == 'glue-mrpc'").ori.mean() > 75, "though it is learnt"
    assert gain(found["as it is"].moved, found["variant=paper"].moved)[0] < 0, "on average less is transferred"


def test_a_simple_pipelines_trained_subspace_stays_below_a_random_one():
    """Chapters 21 and 28 state this of many tasks in text written by hand."""
    for study, variant in (("simplified", "multi"), ("more_seeds", "simplified: multi")):
        own = archive.load(study)[variant].own
        assert all(by_seed(f).mean() < by_seed(f, "random").mean() for _, f in own.groupby("target")), "with any delta"


def test_six_seeds_answer_what_step_26_asks():
    """Compare noise in both stages with the paper's stages and with the fitted length, then check the results' aims.

    All on test rows, where label words are shared. The aims are those of the results' page."""
    found = archive.load("spread_seeds")
    usual, mixed, both = found["as it is"], found["wider mixtures"], found["wider mixtures and search"]
    assert all(r.seeds == [*range(6)] and "report_on" not in r.line for r in found.values())
    over = {name: [interval(by_seed(f) - by_seed(f, "scaled_solution")) for f in (r.own, r.moved)]
            for name, r in found.items()}
    added = [gain(getattr(usual, what), getattr(both, what)) for what in ("own", "moved")]
    assert all(mean > half for mean, half in (
        *added, *over["wider mixtures and search"], gain(usual.moved, mixed.moved)))
    (_, _), (sent, width) = over["wider mixtures"]
    assert abs(sent) < width, "the mixtures alone: no more is transferred than one number gives"
    (sent, width), (own, half) = gain(mixed.moved, both.moved), gain(mixed.own, both.own)
    assert sent > width
    assert own < -half
    for frame, n in ((both.own, 1), (both.moved, 2)):
        mean, half = interval(by_seed(frame))
        assert mean - half > AIMS[n], "the aim, by the whole interval"


def test_four_draws_answer_what_step_27_asks():
    """Test rows, label words shared, three seeds: both questions on every draw, and the aims over the draws."""
    other = archive.load("spread_draws")
    assert all(r.seeds == [0, 1, 2] and "report_on" not in r.line for r in other.values())
    draws = settings.with_default(other, archive.load("spread"))
    assert {name.rsplit("=", 1)[1] for name in draws} == set(of_draws.DRAWS)
    every = settings.means(draws)
    both = every.loc["wider mixtures and search"]
    change = settings.changes(draws, "as it is")["wider mixtures and search"]
    for what, n in (("own", 1), ("moved", 2)):
        for added in (change[what], both[what] - both["scaled_solution"]):
            mean, half = interval(added)
            assert (added > 0).all()
            assert mean > half
        mean, half = interval(both[what])
        assert mean > AIMS[n] > mean - half, "the aim, on average only"
        assert list(both.index[both[what] < AIMS[n]]) == ["shorter"]
    assert settings.answers(draws, "as it is").data.count("interval excludes zero") == 4


def test_four_draws_answer_what_step_31_asks():
    """Test rows, label words shared, three seeds: the sentences of chapters 24 and 28 and of the first page."""
    other = archive.load("objective_draws")
    assert all(r.seeds == [0, 1, 2] and "report_on" not in r.line for r in other.values())
    draws = settings.with_default(other, archive.load("objective"))
    assert {name.rsplit("=", 1)[1] for name in draws} == set(of_draws.DRAWS)
    changes = settings.changes(draws, "as it is")
    tight, paper_term = changes["variant=released, ratio=10"], changes["variant=paper"]
    assert (tight["own"] > 0).all()
    assert (tight["moved"] < -10).all()
    for change, answered in ((tight["own"], True), (tight["moved"], True),
                             (paper_term["own"], False), (paper_term["moved"], False)):
        mean, half = interval(change)
        assert (abs(mean) > half) == answered
    others = paper_term["moved"].drop("embedded")
    assert sum(abs(others) < 0.5) == 2
    assert 0.5 < others.max() < 1.5
    rest = gains(settings.over_draws(draws, "variant=paper"), base=settings.over_draws(draws, "as it is"))
    rest = rest["transferred, over as it is"].drop(columns="superglue-copa")
    assert abs(interval(rest.mean(axis=1))[0]) < 0.5


def test_a_wider_search_does_what_chapters_18_and_28_say_by_hand():
    asked = archive.load("wider_search")
    changes = settings.changes(asked, "former settings")
    both, alone = (changes[name] for name in ("wider mixtures and search", "wider search"))
    assert settings.verdict(both) == "better"
    assert (both[["own", "moved"]] > 0).all(axis=None)
    assert settings.verdict(alone) == "worse"
    added = settings.changes({name: r for name, r in asked.items() if name.startswith("wider mixtures")},
                             "wider mixtures")["wider mixtures and search"]
    assert (added["moved"] > 0).all()
    assert (added["own"] < 0).all()
    found = archive.load("spread")
    own, moved = (rows_of(frame)["label words shared"] for frame in (
        found["wider mixtures and search"].own, found["wider mixtures and search"].moved))
    (mean, half), (sent, width) = (interval(by_seed(f) - by_seed(f, "scaled_solution")) for f in (own, moved))
    row = next(r for r in BeautifulSoup(comparing.beyond_length(found).data, "html.parser").find_all("tr")
               if r.find("td", string="wider mixtures and search"))
    assert [c.text.replace("\xa0", " ") for c in row.find_all("td")[3:]] == [signed(mean, half), signed(sent, width)]
    assert mean > half, "what is recovered lies above the fitted length by its whole interval"
    assert 0 < sent < width, "what is transferred, in the mean alone"
    for name in ("wider mixtures and search", "wider search"):
        for frame, base in ((found[name].own, found["as it is"].own), (found[name].moved, found["as it is"].moved)):
            mean, half = gain(*(rows_of(f)["label words not shared"] for f in (base, frame)))
            assert abs(mean) < half, "nothing that can be told where label words are not shared"


def test_a_random_subspace_of_twenty_dimensions_is_best_at_the_largest_rate():
    """Chapter 18 states this in text written by hand."""
    found, largest = archive.load("dimension")["many tasks, y=20"], {"trained": [], "random": []}
    with ZipFile(archive.FOLDER / found.folder / archive.PACKED) as packed:
        for i in (i for i in found.ids if i.startswith("optimize/")):
            config = json.loads(packed.read(f"{i}/config.json"))["config"]
            devs = [json.loads(line)["dev"] for line in packed.read(f"{i}/log.jsonl").decode().splitlines()]
            best = max(range(len(devs[0])), key=lambda j: max(d[j] for d in devs if d[j] is not None))
            largest[config["up"]].append(config["optimize_lrs"][best] == max(config["optimize_lrs"]))
    assert sum(largest["random"]) > len(largest["random"]) / 2
    assert sum(largest["trained"]) < len(largest["trained"]) / 3


def test_fine_tuning_is_often_best_at_its_last_step():
    """Chapter 22 states this in text written by hand."""
    found, last = archive.load("absolute")["as it is"], []
    with ZipFile(archive.FOLDER / found.folder / archive.PACKED) as packed:
        for i in (i for i in found.ids if i.startswith("original/") and "-finetune-" in i):
            config, metrics = (
                json.loads(packed.read(f"{i}/{name}.json"))[name] for name in ("config", "metrics"))
            last.append(metrics["best_step"] == config["steps"])
    assert 3 <= sum(last) < len(last) / 2


def test_what_is_not_explained_of_many_tasks():
    """Chapter 28 states by hand that the nearest training tasks are held with adapter and LoRA.

    It also states how little the unseen tasks transfer between these two."""
    many = archive.load("multi_task")
    held, moved = many["its training tasks"].own, many["as it is"].moved
    for trained, unseen, most in (("ethos-directed_vs_generalized", "ethos-gender", 60),
                                  ("superglue-wic", "superglue-wsc", 85)):
        assert all(relative(held[(held.task == trained) & (held.target == k)]).mean() > 85 for k in ("adapter", "lora"))
        between = moved[(moved.task == unseen) & (moved.source != "prefix") & (moved.target != "prefix")]
        assert relative(between).mean() < most, unseen


def test_nothing_tried_moves_the_square():
    """Chapter 28 states this in text written by hand."""
    base, *others = archive.load("finetune").values()
    changes = [gain(getattr(base, what), getattr(r, what)) for r in others for what in ("own", "moved")]
    assert len(changes) == 6
    assert all(mean - half <= 0 for mean, half in changes)


def test_what_six_seeds_say_of_many_tasks():
    """Step 21 of the choices states this in text written by hand."""
    many = archive.load("more_seeds")["multi_task: as it is"]
    judges = (claims_archived.prefix_behind, claims_archived.slowest, claims.poorer_source, claims.ahead)
    assert [judge(many)[2] for judge in judges] == [verdicts.HOLDS, verdicts.HOLDS, verdicts.OPEN, verdicts.OPEN]


def test_which_verdicts_that_hold_lean_on_a_task():
    """Step 28 of the choices states this in text written by hand."""
    studies = {name: archive.load(name) for name in archive.names()}
    six = studies["more_seeds"]["as it is"]
    before = claims_archived.every(six, {name: studies[name] for name in ("multi_task", "long_answers")})
    after = claims_archived.with_all_others(six, {}, claims_archived.with_more_seeds(studies))
    leaning, later = ({c.name: bool(c.leans) for c in claims if c.verdict == verdicts.HOLDS}
                      for claims in (before, after))
    assert [name for name, leans in leaning.items() if leans] == [
        "With many tasks, tuning adds to the best of these solutions with its length fitted",
        "With many tasks, prefix-tuning recovers less than the other two (section 5.2.2)"]
    assert [name for name, leans in later.items() if leans] == [
        "Tuning in the subspace adds to what the training task's solutions give as they are"]
    assert {name for name, leans in leaning.items() if leans} <= set(later), "they hold with six seeds, too"


def test_an_archive_elsewhere_is_read_from_there(tmp_path):
    """`python -m unidelta.studies NAME --profile paper --out FOLDER`, and then the chapters."""
    code = "from unidelta.report import archive; print(archive.names(), archive.FOLDER)"
    (tmp_path / "mine").mkdir()
    told = {folder: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                                   env=os.environ | {"UNIDELTA_ARCHIVE": folder}).stdout
            for folder in ("", str(tmp_path))}
    assert "'multi_task'" in told[""]
    assert told[str(tmp_path)].strip() == f"['mine'] {tmp_path}"


def test_what_pages_say_in_words_follows_from_the_archive():
    """Chapters 17 and 28 and the page on limits state this in text written by hand."""
    many = archive.load("multi_task")
    held, found = many["its training tasks"].own, many["as it is"].own
    gender, number = ("blimp-anaphor_gender_agreement", "blimp-anaphor_number_agreement")
    at = {(task, kind): relative(rows[(rows.task == task) & (rows.target == kind)]).mean()
          for task, rows in ((gender, held), (number, found)) for kind in ("adapter", "prefix")}
    assert at[gender, "adapter"] < 80 < at[number, "adapter"], "held in part, and found"
    assert max(at[gender, "prefix"], at[number, "prefix"]) < 60, "lost, and not found"
    learnt = held.groupby(["task", "target"]).ori.mean()
    assert set(learnt[learnt < 80].index.get_level_values("task")) == {"health_fact", "glue-qqp"}
    assert set(learnt[learnt < 80]["glue-qqp"].index) == {"prefix"}
    assert archive.load("long_answers")["as it is"].own.groupby("target").ori.mean().max() < 80
    simple = archive.load("simplified")["multi"].own
    mean, half = interval(by_seed(simple) - by_seed(simple, "random"))
    assert mean < 0 < mean + half, "no better than a random one, and not clearly worse"
    draws = [r for name, r in archive.load("backbones").items() if "many" not in name and "comparing" not in name]
    objective = archive.load("objective")
    base, tight = objective["as it is"], objective["variant=released, ratio=10"]
    paper_term = gains(objective["variant=paper"], base=base)["transferred, over as it is"]
    mean, half = interval(paper_term.mean(axis=1))
    assert 1.5 < mean < 2.5, "two points more are transferred"
    assert mean > half
    rest, half = interval(paper_term.drop(columns="superglue-copa").mean(axis=1))
    assert abs(rest) < half, "of which CoPA has most"
    for other in (objective["variant=paper"], tight):
        mean, half = gain(base.own, other.own)
        assert abs(mean) < half, "what is recovered cannot be told apart"
    mean, half = gain(base.moved, tight.moved)
    assert mean + half < 0
    assert mean < -15, "far less is transferred"
    assert by_task(tight.moved).min().min() < 5, "next to nothing on some tasks with some seeds"
    angles = {name: objective[f"{name}, its vectors"].frame.cosine for name in ("variant=paper", "as it is",
                                                                               "variant=released, ratio=10")}
    assert angles["variant=paper"].min() > 0.9
    assert angles["as it is"].min() > 0.5
    assert angles["variant=released, ratio=10"].min() < -0.5
    seen = vectors.pairs(objective["variant=released, ratio=10, its vectors"], tight)
    assert seen.cosine.corr(seen.transfer, method="spearman") > 0.5
    drawn = archive.load("planes")["as it is"]
    assert planes.common(planes.shares({0: planes.from_frame(drawn.frame, drawn.ids)})).min() > 50, "with many tasks"
    shares = archive.load("more_planes")["as it is"].frame
    part = planes.common(shares)
    mean, half = over_seeds(shares, part)
    assert mean + half < 50, "less than half in common"
    of_task = part.groupby(shares.task).mean()
    assert of_task.max() < 50
    assert of_task.idxmax() == "amazon_polarity"
    assert part.isna().sum() == 8
    mean, half = over_seeds(shares[shares.task != "superglue-copa"], part)
    assert mean + half > 50, "open without CoPA"
    for what, low, high in (("own", 2, 4), ("moved", -1, 1)):
        rows = [rows_of(getattr(r, what), clear=False)["label words shared"] for r in draws]
        mean, _ = interval([(by_seed(each) - by_seed(each, "scaled_solution")).mean() for each in rows])
        assert low < mean < high, "three points more is recovered than one number gives, and as much transferred"
