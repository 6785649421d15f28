"""The path of the profile `paper`, by the hub's own protocol: a hub on this machine, read by the hub's own libraries.

These read the address when they are imported, so that every test here starts a process.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import hub
import nbformat
import pytest

from unidelta import ROOT, tasks
from unidelta.sources import embedded

GIVEN = {"glue-sst2": ("nyu-mll/glue", "sst2"),
         "rotten_tomatoes": ("cornell-movie-review-data/rotten_tomatoes", "default"),
         "dream": ("dataset-org/dream", "plain_text")}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The folder of a hub with the paper's backbone, tiny, and three data sets, one of them kept as a script."""
    root = tmp_path_factory.mktemp("hub")
    for task, (name, config) in GIVEN.items():
        splits = {split: embedded.raw(task, split)[:60] for split in ("train", "validation", "test")}
        hub.put(root, name, config, splits, script=task == "dream")
    lines = [text for task in GIVEN for text, _ in tasks.rows(task, "train", "embedded")[:200]]
    hub.put_t5(root, "google/t5-base-lm-adapt", lines)
    return root


def started(arguments: list[str], address: str, cache: Path, **variables: str) -> subprocess.CompletedProcess:
    """What a Python of this environment says that has that hub, and nothing yet of what is on it."""
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return subprocess.run([sys.executable, *arguments], env=os.environ | settings | variables, cwd=ROOT,
                          capture_output=True, text=True)


def rows(wanted: list[tuple[str, str]], address: str, cache: Path) -> list:
    """What `tasks.rows` gives, or the line it refuses with, for (task, split), from the hub."""
    code = ("import json, sys\nfrom unidelta import tasks\ndef told(task, split):\n"
            "    try: return tasks.rows(task, split, source='hub')\n    except ValueError as error: return str(error)\n"
            "print(json.dumps([told(*each) for each in json.loads(sys.argv[1])]))")
    done = started(["-c", code, json.dumps(wanted)], address, cache)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_rows_of_the_hub_are_those_that_were_put_there(served, tmp_path):
    wanted = [(task, split) for task in GIVEN for split in ("train", "validation")]
    with hub.serve(served) as address:
        found = rows(wanted, address, tmp_path)
    for (task, split), got in zip(wanted, found, strict=True):
        assert got == [[text, answers] for text, answers in tasks.rows(task, split, "embedded")[:60]]


def test_what_the_hub_does_not_have_is_one_line_that_names_the_task(served, tmp_path):
    root = tmp_path / "hub"
    few = {"train": [{"sentence": "x", "label": 1}]}
    hub.put(root, "nyu-mll/glue", "sst2", few)
    hub.put(root, "allenai/qasc", "default", {"validation": [{"question": "?"}]})
    hub.put(root, "dataset-org/dream", "plain_text", {"validation": [{"question": "?"}]}, script=True)
    hub.put(root, "ehovy/race", "high", few)
    next((root / "datasets/ehovy/race").rglob("*.parquet")).write_bytes(b"PAR1")
    wanted = {"scitail": "doesn't exist", "glue-mrpc": "'mrpc' not found", "qasc": 'Unknown split "train"',
              "dream": "all the data_files are invalid", "race-high": "Parquet"}
    with hub.serve(root) as address:
        found = rows([(task, "train") for task in wanted], address, tmp_path / "cache")
    for line, (task, why) in zip(found, wanted.items(), strict=True):
        assert "\n" not in line
        assert line.startswith(f"task {task}, split train: ")
        assert "cannot be loaded from the hub" in line
        assert why in line
        assert line.endswith("a mirror folder (source mirror) needs no hub")


def test_a_connection_that_breaks_off_is_one_line(served, tmp_path):
    with hub.serve(served, broken="sst2/train") as address:
        line, = rows([("glue-sst2", "train")], address, tmp_path)
    assert "\n" not in line
    assert line.startswith("task glue-sst2, split train: nyu-mll/glue/sst2 cannot be loaded from the hub (peer closed")


def test_the_papers_profile_runs_from_the_hub(served, tmp_path):
    """`papermill notebooks/03_transfer.ipynb -p profile paper`, with one step in every stage."""
    output = tmp_path / "03_transfer.ipynb"
    with hub.serve(served) as address:
        done = started(["-m", "papermill", "notebooks/03_transfer.ipynb", str(output), "-k", "python3",
                        *"-p profile paper -p seeds 0 -p steps 1".split()], address, tmp_path / "cache",
                       UNIDELTA_RUNS=str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs" / "paper" / "transfer").iterdir())) == 1
    shown = json.dumps(nbformat.read(output, as_version=4).cells)
    assert "Profile `paper`; backbone `google/t5-base-lm-adapt` (`" in shown
    assert "rows of the hub" in shown
