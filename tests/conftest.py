"""Fixtures: a tiny backbone, runs with it, and material outside the repository.

A test that needs the last is skipped, with the reason, where it is absent."""
import os
from collections import Counter
from pathlib import Path

import pytest

# set before the hub's library reads it: no test waits for a network, however pytest was started
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_configure(config):
    config.addinivalue_line("markers", "fullsize: needs about 4 GB of memory, 2 GB of disk and some minutes; "
                                       "leave out with -m 'not fullsize'")


def pytest_collection_modifyitems(items):
    """Order the files for several processes: those at full size first, then those with the most tests.

    The former have few tests and take longest. If they came last, one process would be left alone with them."""
    counts = Counter(item.path for item in items)
    full = {item.path for item in items if item.get_closest_marker("fullsize")}
    items.sort(key=lambda item: (item.path not in full, -counts[item.path]))


BESIDE = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with the oracles, beside the project."""
    if not (BESIDE / "oracle").is_dir():
        pytest.skip("no folder ../shared with the oracles beside the project")
    return BESIDE


@pytest.fixture(scope="session")
def mirror() -> Path:
    """A mirror of real data: UNIDELTA_MIRROR, else ../shared/hub beside the project."""
    folder = Path(os.environ.get("UNIDELTA_MIRROR") or BESIDE / "hub")
    if not folder.is_dir():
        pytest.skip(f"no mirror of the data: there is no folder {folder} (UNIDELTA_MIRROR, or ../shared/hub)")
    return folder


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory) -> str:
    """Folder of a tiny T5 that has been taught to answer, badly, in the words of three sentiment tasks."""
    import tiny
    return tiny.teach(tiny.save(tmp_path_factory.mktemp("tiny-t5"), vocabulary=600))


@pytest.fixture
def open_run(tiny_t5, tmp_path):
    """Return a function that opens a run of the tiny backbone, with changes to its settings, in a store of the test."""
    from tiny import SMALL

    from unidelta.stages import Run

    def open_(root="runs", profile="embedded", backbone=tiny_t5, **changes):
        return Run.open(profile, str(tmp_path / root), backbone=backbone, **SMALL | changes)
    return open_


@pytest.fixture(scope="module")
def done(tiny_t5, tmp_path_factory):
    """Run every stage of one subspace with two seeds. Return (run, artifacts by stage)."""
    from tiny import SMALL, every_stage

    from unidelta.stages import Run
    run = Run.open("embedded", str(tmp_path_factory.mktemp("runs")), backbone=tiny_t5, **SMALL)
    return run, every_stage(run)
