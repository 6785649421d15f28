"""The artifact store: identity, damage, concurrent and killed writers, checkpoints."""
import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from unidelta import files, provenance, store
from unidelta.files import load_checkpoint, save_checkpoint
from unidelta.params import ParameterError
from unidelta.store import Store

CONFIG = {"task": "qasc", "lr": 1e-4, "steps": 100, "sizes": {"rank": 10, "scale": 1.6}, "deltas": ["adapter", "lora"],
          "note": None}
METRICS = {"dev": 0.5, "test": [0.25, 0.75]}


@pytest.fixture
def box(tmp_path):
    return Store(tmp_path / "runs with space", "embedded")


def save(box, config=CONFIG, **more):
    tensors = {"theta": torch.arange(6.0).reshape(2, 3), "order": torch.arange(4)}
    return box.save("original", "qasc adapter", config, METRICS, tensors, log=[{"step": 1, "loss": 2.5}], **more)


def leftovers(box):
    return [p.name for p in (*(box.base / "original").glob(".*"), *(box.base / ".partial").glob("*/*"))]


def test_roundtrip(box):
    assert box.find("original", "qasc adapter", CONFIG) is None
    assert not box.base.exists(), "reading must not write"
    kept, found = save(box), box.find("original", "qasc adapter", CONFIG)
    assert kept == found
    assert found.id == f"original/qasc-adapter-{store.key(CONFIG)}"
    assert found.config == CONFIG
    assert found.metrics == METRICS
    assert found.log() == [{"step": 1, "loss": 2.5}]
    tensors = found.tensors()
    assert torch.equal(tensors["theta"], torch.arange(6.0).reshape(2, 3))
    assert tensors["order"].dtype == torch.int64
    assert found.provenance["torch"]
    assert found.provenance["threads"] >= 1
    other = save(box, CONFIG | {"y": 9}, made={"stack": ["qasc adapter", "qasc lora"]})
    assert other.provenance["stack"] == ["qasc adapter", "qasc lora"]
    assert set(other.provenance) - set(found.provenance) == {"stack"}
    shutil.rmtree(other.path)
    names = ["config.json", "log.jsonl", "metrics.json", "tensors.safetensors"]
    assert sorted(p.name for p in found.path.iterdir()) == names
    assert [a.id for a in box.all()] == [a.id for a in box.all("original")] == [found.id]
    assert box.all("transfer") == []


@pytest.mark.parametrize("change", [
    {"task": "wsc"}, {"lr": 2e-4}, {"steps": 101}, {"steps": 100.0}, {"sizes": {"rank": 10, "scale": 1.5}},
    {"deltas": ["lora", "adapter"]}, {"note": ""}, {"extra": 1}])
def test_every_value_counts(box, change):
    save(box)
    assert store.key({**CONFIG, **change}) != store.key(CONFIG)
    assert box.find("original", "qasc adapter", {**CONFIG, **change}) is None


def test_order_of_keys_and_kinds_of_scalars_do_not_count(box):
    kinds = {"lr": np.float64(1e-4), "steps": torch.tensor(100), "deltas": ("adapter", "lora")}
    again = {**dict(reversed(CONFIG.items())), **kinds}
    assert save(box) == box.find("original", "qasc adapter", again)


def test_scalars_become_plain_and_nan_is_refused(box):
    metrics = {"a": np.float32(0.5), "b": torch.tensor(2), "grid": np.eye(2), "ok": np.bool_(True)}
    kept = box.save("landscape", "x", {}, metrics, log=[{"loss": float("nan")}])
    assert kept.metrics == {"a": 0.5, "b": 2, "grid": [[1.0, 0.0], [0.0, 1.0]], "ok": True}
    assert kept.log() == [{"loss": None}]
    assert kept.tensors() == {}
    with pytest.raises(ValueError, match=r"metrics\.dev\[1\] is nan: only finite numbers"):
        box.save("original", "x", {}, {"dev": [1.0, float("nan")]})
    with pytest.raises(ValueError, match=r"config\.f is a set: allowed are"):
        box.find("original", "x", {"f": {1}})
    with pytest.raises(ValueError, match="keys must be strings"):
        box.save("original", "x", {}, {1: 2})
    with pytest.raises(ValueError, match="allowed are letters, digits and . _ - with a letter or digit first"):
        box.find("../evil", "x", {})


def truncate(path):
    file = path / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-5])


def flip(path):
    file = path / "tensors.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def edit_metrics(path):
    file = path / "metrics.json"
    file.write_text(file.read_text().replace("0.75", "0.99"))


def edit_config(path):
    file = path / "config.json"
    file.write_text(file.read_text().replace('"steps": 100', '"steps": 999'))


def foreign(path):
    other = save(Store(path.parents[2] / "other", "embedded"), {**CONFIG, "steps": 7})
    shutil.rmtree(path)
    shutil.copytree(other.path, path)


def not_a_folder(path):
    shutil.rmtree(path)
    path.write_text("hello")


@pytest.mark.parametrize("damage", [
    truncate, flip, edit_metrics, edit_config, foreign, not_a_folder,
    lambda path: (path / "config.json").unlink(), lambda path: (path / "metrics.json").unlink(),
    lambda path: (path / "tensors.safetensors").unlink(), lambda path: (path / "metrics.json").write_text("[]"),
    lambda path: (path / "metrics.json").write_bytes(b"\xff\xfe")])
def test_damage_is_detected_and_recomputed(box, damage, caplog):
    path = save(box).path
    damage(path)
    with caplog.at_level(logging.WARNING):
        assert box.find("original", "qasc adapter", CONFIG) is None
    assert len(caplog.records) == 1
    assert "is not usable" in caplog.text
    assert not path.exists()
    assert len(list((box.base / ".aside").iterdir())) == 1
    assert save(box).metrics == METRICS
    assert box.find("original", "qasc adapter", CONFIG).tensors()["theta"].shape == (2, 3)


def test_save_replaces_a_damaged_artifact(box):
    edit_metrics(save(box).path)
    assert save(box).metrics == METRICS


def test_a_sound_artifact_that_came_meanwhile_is_not_set_aside(box, monkeypatch):
    path = save(box).path
    sound = {file: file.read_bytes() for file in path.iterdir()}
    edit_metrics(path)

    @contextmanager
    def waited(self, stage, name):
        for file, content in sound.items():
            file.write_bytes(content)
        yield
    monkeypatch.setattr(Store, "lock", waited)
    assert box.find("original", "qasc adapter", CONFIG).metrics == METRICS
    assert not (box.base / ".aside").exists()


def test_names_of_folders_are_short_and_plain(box):
    assert len(box.path("original", "x" * 300, CONFIG).name) < 140
    assert box.path("original", "../qasc, lora.", CONFIG).name == f"qasc-lora-{store.key(CONFIG)}"


def test_what_was_never_begun_is_not_listed(box):
    work = box.of_stack("original", [("qasc", CONFIG), ("dream", CONFIG)])
    assert [len(names) for names in box.begun("original")] == [2]
    (work / store.STACK).write_text("[")
    assert box.begun("original") == []


def test_tensors_changed_after_find_are_not_used(box):
    kept = save(box)
    flip(kept.path)
    with pytest.raises(ValueError, match="changed since it was written"):
        kept.tensors()


def test_all_leaves_unsound_ones_out(box, caplog):
    kept, other = save(box), save(box, {**CONFIG, "steps": 1})
    edit_metrics(other.path)
    assert [a.id for a in box.all()] == [kept.id]
    assert "left out" in caplog.text


def test_find_in_a_read_only_root(box, monkeypatch):
    path = save(box).path
    before = sorted((p, p.stat().st_mtime_ns) for p in box.base.rglob("*"))
    assert box.find("original", "qasc adapter", CONFIG).tensors()["theta"].shape == (2, 3)
    assert sorted((p, p.stat().st_mtime_ns) for p in box.base.rglob("*")) == before, "finding must not write"
    flip(path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert box.find("original", "qasc adapter", CONFIG) is None
    assert path.exists()


def write_many(root, who, start, results):
    box = Store(root)
    start.wait()
    for step in range(5):
        kept = box.save("original", "race", {"step": step}, {"who": who}, {"x": torch.full((1000,), float(who))})
        results.put((step, kept.metrics["who"], float(kept.tensors()["x"].mean())))


def test_a_store_that_cannot_be_written_is_told_in_one_line(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(store, "folder", refuse)
    told = "these results are not in .*, which cannot be written .Permission denied.; allowed: a folder of your own"
    with pytest.raises(ParameterError, match=told), store.Store(tmp_path).lock("original", "x"):
        pass


def test_two_writers_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    writers = [context.Process(target=write_many, args=(tmp_path, who, start, results)) for who in (0, 1)]
    for writer in writers:
        writer.start()
    seen = [results.get(timeout=60) for _ in range(10)]
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    for step in range(5):
        winner = Store(tmp_path).find("original", "race", {"step": step}).metrics["who"]
        got = {(who, mean) for s, who, mean in seen if s == step}
        assert got == {(winner, float(winner))}, "both writers must get the first one's"
    assert leftovers(Store(tmp_path)) == []


KILLED = """
import sys, time, torch
from unidelta import files, store
def slow(file):
    print("writing", flush=True)
    time.sleep(60)
files.sha256 = slow
store.Store(sys.argv[1]).save("original", "qasc adapter", {"a": 1}, {"m": 1}, {"x": torch.ones(3)})
"""
HOLDER = """
import sys, time
from unidelta.store import Store
with Store(sys.argv[1]).lock("original", "qasc"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def start():
    started = []

    def run(code, root):
        process = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline()
        return process
    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_killed_writer_leaves_nothing_visible(tmp_path, start):
    box = Store(tmp_path)
    writer = start(KILLED, tmp_path)
    assert len(leftovers(box)) == 1
    assert box.all() == []
    box.sweep("original")
    assert len(leftovers(box)) == 1, "a living writer's folder must stay"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert box.find("original", "qasc adapter", {"a": 1}) is None
    assert box.all() == []
    box.save("original", "qasc adapter", {"a": 1}, {"m": 1})
    assert leftovers(box) == []
    assert box.find("original", "qasc adapter", {"a": 1}).metrics == {"m": 1}


def test_lock_across_processes_and_after_a_kill(tmp_path, start, caplog):
    box, holder = Store(tmp_path), start(HOLDER, tmp_path)
    end = threading.Timer(0.5, holder.send_signal, [signal.SIGKILL])
    with box.lock("original", "other"):
        end.start()  # what another process holds has a name of its own
        began = time.monotonic()
        with box.lock("original", "qasc"):
            assert 0.3 < time.monotonic() - began < 30, "it waits for the holder's end"
    assert "waiting for another process, which is working on original/qasc" in caplog.text
    holder.wait()


def test_locks_exclude_each_other_and_are_cleared_away(tmp_path):
    code = """
import sys
from pathlib import Path
from unidelta.store import Store
count = Path(sys.argv[1]) / "count"
for _ in range(100):
    with Store(sys.argv[1]).lock("original", "qasc"):
        count.write_text(str(int(count.read_text()) + 1))
"""
    (tmp_path / "count").write_text("0")
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.DEVNULL)
               for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "300"
    assert not list(tmp_path.glob("*/.locks/*"))


def test_checkpoint(box, caplog):
    folder = box.partial("original", "qasc adapter", CONFIG)
    assert load_checkpoint(folder) is None
    assert caplog.text == ""
    generator = torch.Generator().manual_seed(3)
    tensors = {"theta": torch.randn(2, 5, generator=generator), "rng": generator.get_state(), "empty": torch.empty(0),
               "half": torch.ones(3, dtype=torch.bfloat16), "step": torch.tensor(4)}
    save_checkpoint(folder, tensors, {"step": 1, "best": -float("inf")})
    save_checkpoint(folder, tensors, {"step": 2, "best": 0.1})
    got, state = load_checkpoint(folder)
    assert state == {"step": 2, "best": 0.1}
    assert all(torch.equal(got[name], tensors[name]) for name in tensors)
    assert [p.name for p in folder.iterdir()] == ["checkpoint.safetensors"]
    save(box)
    assert not folder.exists(), "finished work needs no checkpoint"


def test_what_is_not_written_to_its_end_replaces_nothing(tmp_path, monkeypatch):
    def killed(path):
        raise KeyboardInterrupt
    save_checkpoint(tmp_path, {"theta": torch.ones(3)}, {"step": 1})
    files.write(tmp_path / "note", "old")
    monkeypatch.setattr(files, "fsync", killed)
    for write in (lambda: save_checkpoint(tmp_path, {"theta": torch.zeros(3)}, {"step": 2}),
                  lambda: files.write(tmp_path / "note", "new")):
        with pytest.raises(KeyboardInterrupt):
            write()
    assert load_checkpoint(tmp_path)[1] == {"step": 1}
    assert (tmp_path / "note").read_text() == "old"


def test_what_is_saved_is_a_copy():
    theta = torch.ones(3)
    kept = files.detached({"theta": theta, "part": theta[1:]})
    theta.zero_()
    assert kept["theta"].all()
    assert kept["part"].data_ptr() != kept["theta"][1:].data_ptr(), "safetensors refuses tensors that share memory"


@pytest.mark.parametrize("damage", ["truncate", "flip", "state", "name", "other"])
def test_corrupt_checkpoint_is_not_used(tmp_path, damage, caplog):
    save_checkpoint(tmp_path, {"theta": torch.arange(50.0)}, {"step": 25})
    file = tmp_path / "checkpoint.safetensors"
    data = file.read_bytes()
    flipped, edited = data[:-1] + bytes([data[-1] ^ 1]), data.replace(b"25", b"26")
    renamed = data.replace(b"theta", b"delta")
    file.write_bytes({"truncate": data[:-7], "flip": flipped, "state": edited, "name": renamed,
                      "other": b"not ours"}[damage])
    assert load_checkpoint(tmp_path) is None
    assert "starting from the beginning" in caplog.text


def test_root_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path / "elsewhere"))
    kept = Store(profile="mini").save("original", "x", {}, {})
    assert kept.path.parent == tmp_path / "elsewhere" / "mini" / "original"
    assert json.loads((kept.path / "config.json").read_text())["config"] == {}


def test_the_root_may_be_in_ones_home_and_is_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.base("~/runs") == tmp_path / "runs"
    (tmp_path / "runs").write_text("")
    with pytest.raises(ValueError, match="which is a file; allowed: a folder"):
        Store("~/runs")


def test_nothing_is_left_of_a_writer_that_is_gone(box):
    (box.base / "original" / ".tmp-gone").mkdir(parents=True)
    box.sweep("original")
    assert leftovers(box) == []
    assert not list((box.base / ".locks").iterdir())


def test_the_commit_is_told_and_whether_it_was_changed(monkeypatch):
    assert provenance._git("rev-parse", "no-such-commit") is None
    for commit, status, dirty in (("abc", "M file", True), ("abc", "", False), (None, None, None)):
        said = {"rev-parse": commit, "status": status}
        monkeypatch.setattr(provenance, "_git", lambda command, *rest, said=said: said[command])
        found = provenance._machine.__wrapped__()
        assert (found["git_commit"], found["git_dirty"]) == (commit, dirty)


def test_a_log_may_hold_any_text(box):
    box.save("original", "log", CONFIG, METRICS, log=[{"said": "a\u2028b\x85c"}, {"said": ""}])
    assert [line["said"] for line in box.find("original", "log", CONFIG).log()] == ["a\u2028b\x85c", ""]


@pytest.mark.parametrize("wrong, told", [({"tensors": {"theta": [1.0, 2.0]}}, "theta is a list; allowed: tensors"),
                                         ({"made": {"what": object()}}, "made")])
def test_what_cannot_be_stored_is_one_line_and_leaves_nothing(box, wrong, told):
    with pytest.raises(ValueError, match=told):
        box.save("original", "x", CONFIG, METRICS, **wrong)
    assert not list(box.base.glob("original/*"))


def test_all_looks_into_logs_too(box, caplog):
    kept, other = save(box), save(box, {**CONFIG, "steps": 1})
    file = other.path / "log.jsonl"
    file.write_text(file.read_text().replace("2.5", "1.5"))
    assert [a.id for a in box.all()] == [kept.id]
    assert "log.jsonl was altered" in caplog.text
