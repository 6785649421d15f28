"""Time the whole book: `python benchmarks/book.py` clones the project and runs `make book` there, from an empty store.

The environment is made first and timed apart, because it depends on the network. The machine should do nothing else.
The result keeps the runs before, because one run says little: the same build takes twice as long on a slow day.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure
import torch

from unidelta import provenance

ROOT = Path(__file__).resolve().parents[1]
KEPT = 5  # runs in the result, the latest last


def jobs(log: str) -> dict[str, int]:
    """Return the seconds of every job that the build's log says is done."""
    return {name: int(seconds) for name, seconds in re.findall(
        r"^((?:run|plane|notebook|pages)\b[^\n]*?) done in (\d+) s$", log, re.MULTILINE)}


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """Run a command in `folder`: (seconds, what it printed). Raises RuntimeError with the end of that if it fails."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "UNIDELTA_RUNS", "VIRTUAL_ENV")}
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed; it ended:\n{done.stdout[-2000:]}")
    return time.monotonic() - began, done.stdout


def earlier(folder: Path) -> list[dict]:
    """Return the runs that the result in `folder` holds, the latest last; none if there is no result."""
    file = folder / "book.json"
    return json.loads(file.read_text(encoding="utf-8"))["runs"] if file.is_file() else []


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at once, as in make book JOBS=2")
    parser.add_argument("--out", type=Path, default=measure.FOLDER, help="folder of the result")
    given = parser.parse_args(arguments)
    if given.jobs < 1:
        parser.error(f"--jobs {given.jobs} is not allowed; allowed: a whole number from 1")
    measure.prepare(given.out, parser)
    before = earlier(given.out)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        timed(["git", "clone", "--quiet", str(ROOT), str(clone)], Path(scratch))
        commit = timed(["git", "rev-parse", "HEAD"], clone)[1].strip()
        environment, _ = timed(["make", "environment"], clone)
        seconds, log = timed(["make", "book", f"JOBS={given.jobs}"], clone)
        pages = len(list((clone / "_build" / "html").rglob("*.html")))
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))  # what is saved: the threads that make gives a job
    run = {"created": provenance.current()["created"], "commit": commit, "jobs_at_once": given.jobs,
           "environment_seconds": environment, "seconds": seconds, "pages": pages, "jobs": jobs(log)}
    file = measure.save("book", {"what": "(i) make book from an empty store, in a fresh clone",
                                 "runs": [*before, run][-KEPT:]}, began, given.out)
    print(f"{seconds / 60:.1f} minutes, {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
