"""What determines an artifact: every setting names its stage's and those after it, and nothing else does."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import datasets
import pytest
import tiny
from tiny import TRAIN, UNSEEN

from unidelta import data, profiles, stages, tasks
from unidelta.projections import KINDS
from unidelta.stages import (
    approximation,
    controls,
    landscapes,
    optimization,
    solutions,
    transferring,
    workbench,
)

STAGES = (solutions, approximation, optimization, transferring)  # the modules of the decomposed pipeline


def identities(run, monkeypatch) -> dict[str, list[str]]:
    """The ids of all stages' artifacts, without computing any."""
    ids = {}

    def compute(run, stage, wanted, *rest):
        ids.setdefault(stage, set()).update(
            f"{stage}/{run.store.path(stage, *named).name}" for named in wanted.values())
        return {key: SimpleNamespace(id=f"{stage}/{run.store.path(stage, *named).name}", config=named[1])
                for key, named in wanted.items()}

    for module in (*STAGES, landscapes, workbench):
        monkeypatch.setattr(module, "compute", compute)
    stages.transfer(run, TRAIN, UNSEEN[:1])
    controls.controls(run, TRAIN, UNSEEN[:1])
    landscapes.landscape(run, TRAIN, UNSEEN[0])
    monkeypatch.undo()
    return {stage: sorted(found) for stage, found in ids.items()}


ALL = ["original", "approximate", "optimize", "transfer", "controls", "landscape"]


FROM = {"original": ALL, "approximate": ALL[1:], "optimize": ["optimize", "transfer", "landscape"]}


@pytest.mark.parametrize("stage, change", [
    ("original", {"original_lr": 0.031}), ("original", {"original_prefix_lr": 0.031}),
    ("original", {"original_batch": 7}), ("original", {"original_every": 4}),
    ("original", {"steps": 3}), ("original", {"patience": 2}),
    ("original", {"init_seed": 1}), ("original", {"max_length": 48}),
    ("original", {"adapter": {"bottleneck": 5}}), ("original", {"lora": {"rank": 5, "scale": 2.0}}),
    ("original", {"prefix": {"length": 20, "hidden": 8, "reading": "natural"}}),
    ("original", {"caps": {"train": 40, "dev": 20, "test": 24}}),
    ("approximate", {"y": 4}), ("approximate", {"variant": "paper"}), ("approximate", {"ratio": 0.37}),
    ("approximate", {"approximate_lr": 0.037}), ("approximate", {"approximate_every": 4}),
    ("approximate", {"approximate_batch": 5}), ("approximate", {"approximate_draws": 5}),
    ("approximate", {"approximate_spread": 0.5}),
    ("optimize", {"optimize_lrs": (1.0,)}), ("optimize", {"optimize_every": 4}), ("optimize", {"optimize_batch": 5}),
    ("optimize", {"optimize_init": "train"}), ("optimize", {"optimize_spread": 0.3}),
], ids=lambda value: value if isinstance(value, str) else "+".join(value))
def test_every_setting_names_its_artifacts_and_those_after_them(open_run, monkeypatch, stage, change):
    before, after = (identities(open_run(**c), monkeypatch) for c in ({}, change))
    changed = [s for s in ALL if before[s] != after[s]]
    assert changed == FROM[stage], f"{change} must change {FROM[stage]} and nothing before"


def test_backbone_source_and_precision_name_every_artifact(open_run, monkeypatch, tmp_path):
    before = identities(open_run(), monkeypatch)
    other = tiny.save(tmp_path / "other", vocabulary=600, seed=1)
    for change in ({"backbone": other}, {"dtype": "bfloat16"}):
        after = identities(open_run(**change), monkeypatch)
        assert not any(set(before[s]) & set(after[s]) for s in ALL)


def test_how_solutions_are_stacked_and_where_they_run_names_nothing(open_run, monkeypatch):
    assert identities(open_run(), monkeypatch) == identities(
        open_run(stack=3, device="auto", approximate_spread=0.0, optimize_spread=0.0), monkeypatch)


def test_a_profile_names_its_folder(open_run):
    for name in profiles.PROFILES:
        assert open_run(profile=name, source="embedded").store.base.name == name


def test_a_landscape_and_what_is_fitted_are_named_by_what_they_come_from(open_run, monkeypatch):
    """A landscape is named by extent, step and rows; controls by the solutions, vectors and subspaces they measure."""
    def ids(call, **changes):
        run, found = open_run(**changes), {}

        def compute(run, stage, wanted, *rest):
            names = {key: f"{stage}/{run.store.path(stage, *named).name}" for key, named in wanted.items()}
            found[stage] = set(names.values())
            return {key: SimpleNamespace(id=name, config=wanted[key][1]) for key, name in names.items()}
        with monkeypatch.context() as patch:
            for module in (*STAGES, landscapes, workbench):
                patch.setattr(module, "compute", compute)
            call(run)
        return found
    planes_ = [ids(lambda run, g=given: landscapes.landscape(run, TRAIN, UNSEEN[0], **g))["landscape"]
               for given in ({}, {"extent": 2.0}, {"step": 0.5}, {"rows": 5})]
    assert len(set.union(*planes_)) == 4
    for name, call in (("lengthened", lambda run: controls.lengthened(run, TRAIN, UNSEEN)),
                       ("rescaled", lambda run: controls.rescaled(run, TRAIN, UNSEEN)),
                       ("centroid", lambda run: controls.centroid(run, TRAIN)),
                       ("controls", lambda run: controls.controls(run, TRAIN, UNSEEN))):
        assert not ids(call)[name] & ids(call, original_lr=0.037)[name], name


def test_a_transfer_is_named_by_the_vectors_of_every_delta(open_run, monkeypatch):
    run, names = open_run(), []

    def compute(run, stage, wanted, *rest):
        names.extend(named[1]["sources"] for named in wanted.values() if stage == "transfer")
        return {key: SimpleNamespace(id=f"{stage}/{run.store.path(stage, *named).name}", config=named[1])
                for key, named in wanted.items()}
    for module in STAGES:
        monkeypatch.setattr(module, "compute", compute)
    stages.transfer(run, TRAIN, UNSEEN[:1])
    assert [name.split("rotten_tomatoes-")[1].split("-")[0] for name in names[0]] == list(KINDS)


def test_rows_are_held_by_all_that_changes_them(open_run):
    """Within one process, rows are held by how they are cut (the mirror has a test of its own below)."""
    short, long = (open_run(max_length=length).data(UNSEEN[0], 0) for length in (8, 64))
    assert short.longest_input == 8 < long.longest_input
    run = open_run()
    taken = [data.load(run.backbone, UNSEEN[0], max_length=64, root=run.store.base.parent, **dict(
        {"source": "embedded", "mirror": None, "seed": 0, "caps": {"dev": 20}}, **change)).fingerprint
             for change in ({}, {"seed": 1}, {"caps": {"dev": 10}}, {"report_on": "spare"})]
    assert len(set(taken)) == 4, "and by how they are drawn"
    words = replace(run.backbone, fingerprint="other", tokenizer=tiny.tokenizer(300))
    mine, other = (data.load(t5, UNSEEN[0], "embedded", None, 0, {"dev": 20}, 64, run.store.base.parent)
                   for t5 in (run.backbone, words))
    assert mine.dev.mean_length < other.dev.mean_length, "and by who reads them"


@pytest.mark.parametrize("stage, change", [
    ("approximate", {"approximate_steps": 3}), ("optimize", {"optimize_steps": 3}),
    ("original", {"original_prefix_steps": 3}), ("original", {"original_steps": 3})], ids=str)
def test_the_steps_of_a_stage_name_it_and_those_after_it(open_run, monkeypatch, stage, change):
    before, after = (identities(open_run(**c), monkeypatch) for c in ({}, change))
    assert [s for s in ALL if before[s] != after[s]] == FROM[stage]


def test_two_mirrors_in_one_process_are_two_sources(open_run, tmp_path, monkeypatch):
    prints = []
    monkeypatch.setattr(data.tokens, "encode", lambda *given: ([], [], []))
    monkeypatch.setattr(data.tasks, "load", lambda name, mirror, **given: datasets.DatasetDict({
        part: datasets.Dataset.from_dict({"input": [f"{mirror} {part}"], "targets": [["a"]]}) for part in tasks.PARTS}))
    run = open_run()
    for mirror in (str(tmp_path / "one"), str(tmp_path / "other")):
        Path(mirror).mkdir()
        prints.append(data.load(run.backbone, "qasc", "mirror", mirror, 0, {}, 8, tmp_path).fingerprint)
    assert prints[0] != prints[1]
