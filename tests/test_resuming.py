"""Killed and resumed: a stage goes on where it was, and ends with the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import SMALL, TRAIN, UNSEEN

from unidelta import compiled, stages, training
from unidelta.stages import (
    landscapes,
    optimization,
    scoring,
    solutions,
    workbench,
)

CALLS = {
    "original": lambda run: stages.original(run, TRAIN + UNSEEN, ["prefix"], (0, 1)),
    "approximate": lambda run: stages.approximate(run, TRAIN, (0, 1)),
    "optimize": lambda run: stages.optimize(run, TRAIN, UNSEEN, ["lora"], (0, 1)),
    "landscape": lambda run: landscapes.landscape(run, TRAIN, UNSEEN[0], extent=1.0, step=0.5, rows=6),
}


def same(found, other):
    assert {k: a.id for k, a in found.items()} == {k: a.id for k, a in other.items()}
    for key, artifact in found.items():
        assert artifact.metrics == other[key].metrics
        assert artifact.log() == other[key].log()
        mine, theirs = artifact.tensors(), other[key].tensors()
        assert set(mine) == set(theirs)
        assert all(torch.equal(mine[n], theirs[n]) for n in mine)


def die(monkeypatch, stage, after):
    """Make the scoring after the first `after` ones within `stage` raise, as a kill would end it."""
    modules, count = [landscapes] if stage == "landscape" else [solutions, optimization, scoring], [0]
    real, fit = scoring.score_stack, workbench.fit
    inside = [stage == "landscape"]

    def score_stack(*args):
        count[0] += inside[0]
        if count[0] > after:
            raise KeyboardInterrupt
        return real(*args)

    def marked(*args, **options):
        inside[0] = options["label"].startswith(stage)
        return fit(*args, **options)

    for module in modules:
        monkeypatch.setattr(module, "score_stack", score_stack)
    if stage != "landscape":
        monkeypatch.setattr(workbench, "fit", marked)


@pytest.mark.parametrize("stage, after", [("original", 1), ("approximate", 3), ("optimize", 1), ("landscape", 7)])
def test_a_killed_stage_goes_on_where_it_was(open_run, monkeypatch, stage, after):
    steps, loss = [], compiled.losses
    count = lambda *args: (steps.append(1), loss(*args))[1]  # noqa: E731
    monkeypatch.setattr(compiled, "losses", count)
    whole = CALLS[stage](open_run("whole"))
    monkeypatch.undo()
    needed = len(steps)
    run = open_run("killed")
    die(monkeypatch, stage, after)
    with pytest.raises(KeyboardInterrupt):
        CALLS[stage](run)
    monkeypatch.undo()
    checkpoints = list((run.store.base / ".partial" / stage).rglob("checkpoint.safetensors"))
    assert len(checkpoints) == 1
    assert not list((run.store.base).glob(f"{stage}/*/metrics.json"))
    steps.clear()
    monkeypatch.setattr(compiled, "losses", count)
    same(CALLS[stage](run), whole)
    upstream = {"original": 0, "approximate": 12, "optimize": 16, "landscape": needed}[stage]
    assert len(steps) == needed - upstream - 2 * (stage != "landscape"), \
        "neither the stages before nor the first two of four steps are done again"
    assert not list((run.store.base / ".partial" / stage).rglob("*.safetensors")), \
        "checkpoints go once the work is done"


@pytest.mark.parametrize("stage, first, then", [
    ("original", (TRAIN + UNSEEN, (0, 1)), (TRAIN, (0, 1))),
    ("original", (TRAIN, (0, 1)), (TRAIN, (0, 2))),
    ("approximate", (TRAIN, (0, 1)), (TRAIN, (0,))), ("approximate", (TRAIN, (0, 1)), (TRAIN, (0, 2)))])
def test_the_checkpoint_of_another_stack_is_not_taken_for_ones_own(open_run, monkeypatch, stage, first, then):
    def call(run, tasks, seeds):
        return (stages.original(run, tasks, ["adapter"], seeds) if stage == "original"
                else stages.approximate(run, tasks, seeds))

    whole = call(open_run("whole"), *then)
    run = open_run("killed")
    die(monkeypatch, stage, 1 if stage == "original" else 3)  # in the second validation
    with pytest.raises(KeyboardInterrupt):
        call(run, *first)
    monkeypatch.undo()
    for key, artifact in call(run, *then).items():
        assert artifact.id == whole[key].id
        assert artifact.metrics == pytest.approx(whole[key].metrics)
        for name, tensor in artifact.tensors().items():
            torch.testing.assert_close(tensor, whole[key].tensors()[name], rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("where", ["in the second stack", "between the saves of the first"])
def test_a_stack_goes_on_as_it_was_cut(open_run, monkeypatch, where):
    def call(run):
        return stages.original(run, TRAIN + UNSEEN, ["adapter"], (0, 1))

    stacks, fit = [], workbench.fit

    def seen(optimizer, *args, folder, **options):
        stacks.append((len(optimizer.tensors[0]), (folder / "checkpoint.safetensors").exists()))
        return fit(optimizer, *args, folder=folder, **options)

    def stop(count):  # ends the process the `count`-th time it is called
        calls = []

        def wrapped(*args, **options):
            calls.append(1)
            if len(calls) == count:
                raise KeyboardInterrupt
            return kept(*args, **options)
        return wrapped

    whole = call(open_run("whole", stack=2))
    run = open_run("killed", stack=2)
    module, name, count = (training, "save_checkpoint", 4) if where.startswith("in") else (solutions, "save", 2)
    kept = getattr(module, name)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, stop(count))
        with pytest.raises(KeyboardInterrupt):
            call(run)
    assert len(run.store.all("original")) == (2 if where.startswith("in") else 1)
    assert len(run.store.begun("original")) == 1
    monkeypatch.setattr(workbench, "fit", seen)
    same(call(run), whole)
    assert stacks == ([(2, True), (2, False)] if where.startswith("in") else [(2, True), (2, False), (2, False)]), \
        "the begun one first, as it was"
    assert not run.store.begun("original")
    assert not list((run.store.base / ".partial" / "original").rglob("*.safetensors"))


KILLED = """
import json, os, signal, sys
import torch
from unidelta import stages
torch.set_num_threads(int(sys.argv[4]))
options = json.loads(sys.argv[3])
run = stages.Run.open("embedded", sys.argv[2], backbone=sys.argv[1], **options)
from unidelta import training
save, count = training.save_checkpoint, [0]
def save_and_die(folder, *rest):
    save(folder, *rest)
    count[0] += "approximate" in str(folder)
    if count[0]:
        os.kill(os.getpid(), signal.SIGKILL)
training.save_checkpoint = save_and_die
stages.transfer(run, ["glue-sst2"], ["rotten_tomatoes"])
"""


def test_a_process_that_is_killed_outright_loses_nothing(open_run, tiny_t5, tmp_path):
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in SMALL.items()}
    lib = os.pathsep.join(p for p in (str(Path(stages.__file__).parents[1]), os.environ.get("PYTHONPATH")) if p)
    command = [sys.executable, "-c", KILLED, tiny_t5, str(tmp_path / "killed"), json.dumps(options),
               str(torch.get_num_threads())]
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": lib}, capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr[-2000:]
    run, whole = open_run("killed"), open_run("whole")
    assert len(run.store.all("original")) == 3
    assert not run.store.all("approximate")
    same(stages.transfer(run, TRAIN, UNSEEN[:1]), stages.transfer(whole, TRAIN, UNSEEN[:1]))
    same(stages.approximate(run, TRAIN), stages.approximate(whole, TRAIN))
