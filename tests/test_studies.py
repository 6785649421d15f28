"""Archived studies: what each holds, from a tiny run to data and back; one-line refusals; nothing half-written."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from functools import partial
from types import SimpleNamespace
from zipfile import ZipFile

import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup

from unidelta import profiles, stages, suite
from unidelta.projections import KINDS, RATIO
from unidelta.report import (
    archive,
    claims_archived,
    comparing,
    directions,
    planes,
    settings,
    tables,
)
from unidelta.report.results import setting
from unidelta.stages import baselines
from unidelta.store import plain
from unidelta.studies import STUDIES, variants
from unidelta.studies import draws as of_draws
from unidelta.studies import tables as of_tables
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
    results = study("planes", "yelp_polarity")["unchanged"]
    plane, = planes.from_frame(results.frame, results.ids).values()
    assert plane.train == "3 tasks"
    assert plane.axis.tolist() == [-4, 0, 4]
    assert plane.relative.shape == (3, 3, 3)
    assert plane.points[0].tolist() == [0, 0]
    assert "multi-task setting" in results.line
    assert {i.split("/")[0] for i in results.ids} == {"landscape", "original"}


def test_multi_task(study):
    found = study("multi_task")
    results, fitted, trained = (found[name] for name in ("unchanged", "length fitted", "its training tasks"))
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
    assert list(found) == ["unchanged", "many tasks, y=20", "many tasks, y=50", "many tasks, y=100", "y=8", "y=16"], \
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
    results = study("absolute")["unchanged"]
    assert list(results.frame.target) == ["adapter", "lora", "prefix", "finetune"]
    assert "sub" not in results.frame
    assert {i.split("/")[0] for i in results.ids} == {"original", "untouched"}
    before = (tmp_path / "out" / "absolute" / "unchanged" / "about.json").read_text()
    study("absolute")
    assert (tmp_path / "out" / "absolute" / "unchanged" / "about.json").read_text() == before
    assert json.loads(before)["seeds"] == [0]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["absolute"], "nothing is left beside it"


def test_the_reconstruction_is_weighed_in_the_multi_task_setting(study):
    found = study("reconstruction")
    assert {name: "ratio=" in r.line for name, r in found.items()} == {
        "unchanged": False, "ratio=0.02": True, "ratio=1": True}
    approximated = [{i for i in r.ids if i.startswith("approximate/")} for r in found.values()]
    assert len(set().union(*approximated)) == 3, "a subspace of its own for every weight"


def test_the_square_is_moved(study):
    found = study("finetune")
    assert list(found) == ["unchanged", "three times the steps of stage 2", "two training tasks", "y=16"]
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
    assert set(found) == {"unchanged", "y=16", "optimize_init=train", "optimize_steps=180", "train=glue-mnli+glue-qqp"}
    assert found["y=16"].run.profile.y == 16
    assert set(found["train=glue-mnli+glue-qqp"].frame.train) == {"glue-mnli+glue-qqp"}


def test_spread_changes_the_mixtures_of_stage_1_alone(study):
    found = study("spread", "rotten_tomatoes")
    assert list(found) == [
        "unchanged", "more of stage 1", "wider mixtures", "wider mixtures and search", "wider search"]
    assert "approximate_spread=0.5" in found["wider mixtures"].line
    assert "optimize_spread=0.5" in found["wider search"].line
    usual, search = (set(found[name].ids) for name in ("unchanged", "wider search"))
    assert {i.split("/")[0] for i in usual & search} == {"original", "approximate", "controls", "lengthened"}
    same, wider = (set(found[name].ids) for name in ("more of stage 1", "wider mixtures"))
    assert {i.split("/")[0] for i in same & wider} == {"original", "lengthened"}
    assert all("random" in r.frame for r in found.values())


def test_spread_has_twice_the_seeds(study):
    found = study("spread_seeds", "rotten_tomatoes")
    assert list(found) == ["unchanged", "wider mixtures", "wider mixtures and search"]
    assert all(r.seeds == [0, 1] for r in found.values())
    assert all("scaled_solution" in r.frame and "random" not in r.frame for r in found.values())
    assert "optimize_spread=0.5" in found["wider mixtures and search"].line
    assert "optimize_spread" not in found["wider mixtures"].line


def test_spread_on_the_other_draws(study):
    found = study("spread_draws", "rotten_tomatoes")
    assert list(found) == [f"{name}, backbone={draw}" for name in ("unchanged", "wider mixtures and search")
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
        "unchanged", *(f"backbone={n}" for n in ("comparing", "rebuilt", "shorter", "stretches")),
        *(f"many tasks{n}" for n in ("", ", backbone=rebuilt", ", backbone=shorter", ", backbone=stretches"))]
    prints = [r.line.split("backbone `")[1][:16] for r in found.values()]
    assert len(set(prints)) == 5
    assert prints[5:] == [prints[0], *prints[2:5]]
    assert "backbone=comparing" in found["backbone=comparing"].line
    assert [len(r.frame) for r in found.values()] == 9 * [9]
    assert ["multi-task setting" in r.line for r in found.values()] == 5 * [False] + 4 * [True]


def test_twice_the_seeds(study):
    found = study("more_seeds", "rotten_tomatoes")
    assert set(found) == {"unchanged", "multi_task: unchanged", "finetune: unchanged", "simplified: single",
                          "simplified: multi", "dimension: y=8", "dimension: y=16"}
    assert all(r.seeds == [0, 1] and set(r.frame.seed) == {0, 1}
               and len(r.frame) == 2 * (16 if name.startswith("finetune") else 9)
               for name, r in found.items())
    assert ["multi-task setting" in found[name].line
            for name in ("unchanged", "multi_task: unchanged", "simplified: multi")] == [False, True, True]
    assert [found[f"dimension: y={y}"].run.profile.y for y in (8, 16)] == [8, 16]


def test_a_task_of_one_part_alone_is_asked_of_that_part(study):
    assert set(study("more_seeds", "superglue-rte")) == {
        "unchanged", "simplified: single", "dimension: y=8", "dimension: y=16"}


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
    base = "former settings" if many else "unchanged"
    assert set(found) == {f"{setting}, backbone=embedded" for setting in (base, *others)}
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
                                                     "neither can report_on or setting or train"),
                         ({"train": "a+b"}, "train is fixed here"), ({"setting": "multi"}, "setting is fixed here")):
        with pytest.raises(ValueError, match=told):
            of_draws.on_every_draw(open_run, {"unchanged": {}, "other": change}, ["qasc"], [0])
    assert len(opened) == len(of_draws.DRAWS) + 1, "and nothing is collected"


def test_spare_rows_are_not_of_training_tasks(tmp_path):
    """A training task, and so its solutions, are the same whatever rows the other tasks are reported on."""
    prints = {(setting, on, task): stages.Run.open(
                  "embedded", str(tmp_path), setting=setting, report_on=on).data(task, 0).fingerprint
              for setting in ("single", "multi") for on in ("test", "spare")
              for task in ("glue-sst2", "amazon_polarity", "rotten_tomatoes", "qasc")}
    same = {(setting, task): prints[setting, "test", task] == prints[setting, "spare", task]
            for setting, _, task in prints}
    assert {pair for pair, alike in same.items() if alike} == {
        ("single", "glue-sst2"), ("multi", "glue-sst2"), ("multi", "amazon_polarity")}, "qasc is unseen in one of them"


@pytest.mark.parametrize("own, moved, verdict", [
    ([2, 3, 2, 3], [1, 2, 1, 2], "better"), ([-2, -3, -2, -3], [5, 6, 5, 6], "undecided"),
    ([-2, -3, -2, -3], [1, 0, 1, 0], "worse"), ([9, -9, 9, -9], [1, 1, 1, 1], "undecided")])
def test_a_setting_is_judged_by_the_rule(own, moved, verdict):
    change = pd.DataFrame({"own": own, "moved": moved})
    assert settings.verdict(change.assign(both=change.mean(axis=1))) == verdict


def test_fidelity_changes_one_thing_at_a_time(study):
    found = study("fidelity")
    assert set(found) == {"unchanged", "variant=paper", "variant=released, ratio=10", "prefix=natural",
                          "prefix bias=zero", "fastfood=exact", "fastfood=released"}
    configs = {name: {i for i in r.ids} for name, r in found.items()}
    assert all(len(configs[name] & configs["unchanged"]) >= 6
               for name in ("variant=paper", "variant=released, ratio=10")), "the originals are the same"
    assert len(found["fastfood=exact"].frame) == 16
    assert {*found["fastfood=released"].frame.target} == {"adapter", "lora", "prefix", "finetune"}
    assert "prefix=natural" in comparing.table(found).data
    assert "'bias': 'zero'" in found["prefix bias=zero"].line
    assert not set(found["prefix bias=zero"].ids) & {i for i in found["unchanged"].ids if "prefix" in i}


@pytest.mark.parametrize("name", ["more_planes", "spread_planes"])
def test_more_planes(study, monkeypatch, name):
    monkeypatch.setattr(planes, "landscape", partial(planes.landscape, step=4.0))
    (variant, results), = study(name).items()
    noisy = "approximate_spread=0.5, optimize_spread=0.5" in results.line
    assert (variant, noisy) == (("unchanged", False) if name == "more_planes" else ("wider mixtures and search", True))
    assert results.frame[["task", "train", "seed"]].to_numpy().tolist() == [["rotten_tomatoes", "glue-sst2", 0]]
    assert all((results.frame["all"] <= results.frame[k]).all() for k in (*KINDS, "mean"))
    assert {i.split("/")[0] for i in results.ids} == {"landscape", "original"}


def test_the_objective_is_the_papers_or_has_its_weight(study):
    found = study("objective")
    assert all({*r.frame.seed} == {0, 1} for r in found.values())
    cosines = {name: found.pop(f"{name}, its vectors").frame for name in list(found) if "vectors" not in name}
    assert set(found) == set(cosines) == {"unchanged", "variant=paper", "variant=released, ratio=10"}
    assert all(len(frame) == 2 * 3 for frame in cosines.values()), "two seeds, three pairs"
    assert "ratio=10.0" in found["variant=released, ratio=10"].line
    spaces = [{i for i in r.ids if i.startswith("approximate/")} for r in found.values()]
    assert len(set().union(*spaces)) == 6, "a subspace for each objective and seed"
    assert len({frozenset(i for i in r.ids if i.startswith("original/")) for r in found.values()}) == 1


def test_long_answers_are_rows_of_both_settings(study):
    found = study("long_answers", "eli5-asks")
    assert set(found) == {"unchanged", "approximate_steps=300", "many tasks"}
    assert all({*r.frame.task} == {"eli5-asks"} for r in found.values())
    assert {*found["unchanged"].frame.train} == {"eli5-eli5"}
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
    assert checked or name in ("planes", "more_planes", "spread_planes")


@pytest.mark.parametrize("name", ASKED)
def test_a_question_about_settings_was_asked_on_spare_rows(name):
    assert all("report_on=spare" in results.line for results in archive.load(name).values())


def test_an_archive_elsewhere_is_read_from_there(tmp_path):
    """`python -m unidelta.studies NAME --profile paper --out FOLDER`, and then the chapters."""
    code = "from unidelta.report import archive; print(archive.names(), archive.FOLDER)"
    (tmp_path / "mine").mkdir()
    told = {folder: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                                   env=os.environ | {"UNIDELTA_ARCHIVE": folder}).stdout
            for folder in ("", str(tmp_path))}
    assert "'multi_task'" in told[""]
    assert told[str(tmp_path)].strip() == f"['mine'] {tmp_path}"


@pytest.mark.parametrize("name", [n for n in archive.names() if n != "real_rows"])
def test_what_is_archived_is_what_the_study_asks_for_today(name, monkeypatch, tmp_path):
    """Variants, seeds, tasks, training tasks and settings of every archived study, without computing one."""
    def asked(run, tasks, seeds, train=None, *more, **options):
        return SimpleNamespace(run=run, seeds=list(seeds), tasks=list(tasks), train=train)
    for module in (of_draws, of_tables, variants):
        for call in ("collect", "collect_shared", "collect_original"):
            monkeypatch.setattr(module, call, asked, raising=False)
    monkeypatch.setattr(of_tables, "collect_trained", asked)
    for module in (of_tables.rescaling, of_tables.directions, variants.vectors):
        monkeypatch.setattr(module, "collect", asked)
    drawn = []
    monkeypatch.setattr(planes, "drawn", lambda run, served, seed, rows: drawn.append((served, seed, rows)) or {})
    # these were the profile's when this study was archived, so that its lines do not name them
    left_out = of_draws.GIVEN_UP if name == "many_settings" else {}

    def open_run(**settings):
        return stages.Run.open("embedded", str(tmp_path), **{k: v for k, v in settings.items() if k not in left_out})
    found = STUDIES[name](open_run, [0, 1, 2], ())
    kept = archive.load(name)
    assert {variant: setting(r.run, r.seeds) for variant, r in found.items()} \
        == {variant: r.line for variant, r in kept.items()}
    for variant, r in found.items():
        frame = kept[variant].frame
        if hasattr(r, "tasks") and "task" in frame:
            assert set(r.tasks) == set(frame.task), variant
        if getattr(r, "train", None) and isinstance(r.train[0], str):
            assert {"+".join(r.train)} == set(frame.train), variant
        if drawn:
            with ZipFile(archive.FOLDER / kept[variant].folder / archive.PACKED) as packed:
                configs = [json.loads(packed.read(f"{i}/config.json"))["config"]
                           for i in kept[variant].ids if i.startswith("landscape/")]
            assert {(task, seed, rows) for served, seed, rows in drawn for _, task in served} \
                == {(c["task"], c["seed"], c["rows"]) for c in configs}
