"""The paper's own size: a random T5 goes through a few steps of every stage, within 24 GiB.

Its shape is exactly that of google/t5-base-lm-adapt."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

pytestmark = pytest.mark.fullsize

ROOT = Path(__file__).resolve().parents[1]
SHAPE = {"vocab_size": 32128, "d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_decoder_layers": 12,
         "num_heads": 12}
N, Y, LIMIT = 1_105_920, 4, 24 * 2**30
KINDS = ("adapter", "lora", "prefix")

STAGES = """
import json, sys, time
sys.path.insert(0, "benchmarks")
import resources
from unidelta import stages
from unidelta.projections import KINDS
from unidelta.stages import controls, landscapes, shared
folder, root = sys.argv[1:]
run = stages.Run.open("paper", root, backbone=folder, source="embedded", steps=1)
task, peak, spent = ["rotten_tomatoes"], {}, {}
def timed(name, call):
    began = time.monotonic()
    found = call()
    spent[name], peak[name] = time.monotonic() - began, 2**20 * resources.peak(run.backbone.device)
    return {str(key): [str(a.path), a.config, a.metrics] for key, a in found.items()}
train = ["glue-sst2"]
out = {
    "original": timed("original", lambda: stages.original(run, train)),
    "approximate": timed("approximate", lambda: stages.approximate(run, train)),
    "optimize": timed("optimize", lambda: stages.optimize(run, train, task)),
    "transfer": timed("transfer", lambda: stages.transfer(run, train, task)),
    "controls": timed("controls", lambda: controls.controls(run, train, task)),
    "landscape": timed("landscape", lambda: landscapes.landscape(run, train, task[0], extent=1.0, step=1.0, rows=1)),
    "shared": timed("shared", lambda: shared.shared(run, train, KINDS)),
    "shared_optimize": timed("shared_optimize", lambda: shared.optimize(run, train, task, KINDS)),
}
print(json.dumps({"peak": peak, "spent": spent, "stages": out, "parameters": run.backbone.model.num_parameters()}))
"""


def environment() -> dict:
    lib = os.pathsep.join(p for p in (str(ROOT / "lib"), os.environ.get("PYTHONPATH")) if p)
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": lib, "HF_HUB_OFFLINE": "1",
                         "TOKENIZERS_PARALLELISM": "false"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the store of this module. The notebook loads what the first test computed."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A random T5-base (v1.1) of about 1 GB, removed afterwards."""
    folder = tmp_path_factory.mktemp("t5-base")
    yield tiny.save(folder, vocabulary=600, **SHAPE)
    shutil.rmtree(folder)


@tiny.linux
def test_every_stage_at_the_papers_size(base, runs):
    from safetensors import safe_open
    done = subprocess.run([sys.executable, "-c", STAGES, base, str(runs)], cwd=ROOT, env=environment(),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    print("peak of each stage, GiB:", {k: round(v / 2**30, 2) for k, v in result["peak"].items()}, "seconds:",
          {k: round(v) for k, v in result["spent"].items()})
    assert max(result["peak"].values()) < LIMIT
    assert result["parameters"] == 247_577_856, "T5 v1.1 base, embedding and head apart"

    def shapes(stage):
        for path, config, _ in result["stages"][stage].values():
            with safe_open(Path(path) / "tensors.safetensors", "pt") as file:
                yield config.get("kind"), {
                    name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118

    assert sorted(shapes("original")) == [(kind, {"theta": (N,)}) for kind in KINDS]
    (_, subspace), = shapes("approximate")
    expected = {"up": (N, Y), "down1": (Y, N), "down2": (Y, Y), "I": (1, Y)}
    assert subspace == {f"{name}.{kind}": shape for name, shape in expected.items() for kind in KINDS}
    (_, simplified), = shapes("shared")
    assert simplified == {"I": (1, Y)} | {f"up.{kind}": (N, Y) for kind in KINDS}
    for stage, rates in (("optimize", 2), ("shared_optimize", 4)):
        assert sorted(shapes(stage)) == [
            (kind, {"I": (Y,), "kept": (1, rates, Y), "kept_scores": (1, rates)}) for kind in KINDS]
    (_, grid), = shapes("landscape")
    assert grid == {"scores": (3, 3, 3), "axis": (3,), "points": (3, 2)}
    (_, _, transfer), = result["stages"]["transfer"].values()
    assert all(set(transfer[m]) == set(transfer[m][k]) == set(KINDS) for m in ("test", "dev", "chosen") for k in KINDS)
    for _, config, _ in result["stages"]["original"].values():
        assert config["sizes"] in ({"bottleneck": 12}, {"rank": 10, "scale": 1.6},
                                   {"length": 120, "hidden": 24, "reading": "released"})


def test_the_transfer_notebook_at_the_papers_size(base, runs, tmp_path):
    given = {"profile": "paper", "backbone": base, "source": "embedded", "steps": "1", "seeds": "0"}
    options = [word for name, value in given.items() for word in ("-p", name, value)]
    command = [sys.executable, "-m", "papermill", "notebooks/03_transfer.ipynb", str(tmp_path / "out.ipynb"), *options]
    done = subprocess.run(command, cwd=ROOT, env=environment() | {"UNIDELTA_RUNS": str(runs)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [p.name for p in runs.iterdir() if not p.name.startswith(".")] == ["paper"]
    assert len(list((runs / "paper" / "approximate").iterdir())) == 1, "the notebook loads what is there"
    assert list((runs / "paper" / "optimize").glob("rotten_tomatoes-lora-random-s0-*/metrics.json")), \
        "the control is computed too"
