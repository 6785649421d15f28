"""Artifacts: the results of stages, each kept under a name that says which settings and rows it depends on.

    runs/<profile>/<stage>/<slug>-<hash>/   config.json  metrics.json  [tensors.safetensors]  [log.jsonl]

The hash is taken from the config alone, so equal configs find each other's work, and any changed value starts anew.
Code is no part of it: whoever changes a computation begins with an empty store (UNIDELTA_RUNS).

An artifact is written under a temporary name and then renamed, so it is either whole or absent. One that is truncated,
edited or foreign is moved aside and computed again. Nothing is pickled.
"""

import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from . import ROOT, files, provenance
from .files import UNSOUND, canonical, folder, key, plain
from .params import ParameterError

logger = logging.getLogger(__name__)
TENSORS, STACK = "tensors.safetensors", "stack.json"


@dataclass(frozen=True)
class Artifact:
    """One finished artifact; `files` maps each file beside metrics.json to its sha256 and its size in bytes."""

    path: Path
    id: str  # stage/slug-hash
    config: dict
    metrics: dict
    provenance: dict
    files: dict

    def tensors(self) -> dict:
        """Name -> tensor on the CPU, read now and checked against the stored sha256; {} if the artifact holds none.

        Raises ValueError if the file has changed.
        """
        from safetensors.torch import load_file
        if TENSORS not in self.files:
            return {}
        if files.sha256(self.path / TENSORS) != self.files[TENSORS]["sha256"]:
            raise ValueError(f"{self.id}: {TENSORS} changed since it was written; delete {self.path} and run again")
        return load_file(self.path / TENSORS)

    def log(self) -> list[dict]:
        """The training log, one record per line; [] if there is none."""
        if "log.jsonl" not in self.files:
            return []
        lines = (self.path / "log.jsonl").read_text(encoding="utf-8").split("\n")  # a text may hold other line ends
        return [json.loads(line) for line in lines if line]


def base(root: Path | str | None = None) -> Path:
    """The folder that holds the stores of all profiles: `root`, else $UNIDELTA_RUNS, else `runs` in the project."""
    return Path(root or os.environ.get("UNIDELTA_RUNS") or ROOT / "runs").expanduser().absolute()


class Store:
    """Artifacts of one profile, below `base(root)`, which may be read-only."""

    def __init__(self, root: Path | str | None = None, profile: str = "embedded"):
        self.base = base(root) / _word(profile, "profile")
        for place in (self.base, *self.base.parents):
            if place.is_file():
                raise ValueError(f"results cannot be kept below {str(place)!r}, which is a file; "
                                 "allowed: a folder, given by $UNIDELTA_RUNS or as an argument")

    def path(self, stage: str, slug: str, config: dict) -> Path:
        """Where the artifact of this config lies or will lie.

        In `slug`, all but letters, digits and . _ + become hyphens.
        """
        readable = re.sub(r"[^A-Za-z0-9._+-]+", "-", slug).strip(".-")[:120]
        return self.base / _word(stage, "stage") / f"{readable}-{key(config)}"

    def find(self, stage: str, slug: str, config: dict) -> Artifact | None:
        """The verified artifact of exactly this config, or None. An unsound one is moved aside with a warning."""
        path = self.path(stage, slug, config)
        if not path.exists():
            return None
        try:
            return _read(path, plain(config, "config"))
        except UNSOUND as error:
            logger.warning("%s/%s is not usable (%s): it is set aside and will be computed again",
                           stage, path.name, error)
        if os.access(path.parent, os.W_OK):
            with self.lock(stage, f"{path.name}-aside"):  # another process may have put a sound one there by now
                try:
                    return _read(path, plain(config, "config"))
                except UNSOUND:
                    if path.exists():
                        name = f"{stage}-{path.name}-{uuid.uuid4().hex[:8]}"
                        os.rename(path, folder(self.base / ".aside") / name)
        return None

    def save(self, stage: str, slug: str, config: dict, metrics: dict, tensors: dict | None = None,
             log: Iterable[dict] | None = None, made: dict | None = None) -> Artifact:
        """Write the artifact, remove its partial folder and return it. If another writer was first, return that one's.

        `tensors`: name -> tensor; `log`: records of the training log; `made`: additions to its provenance.
        Raises ValueError (one line) for values that cannot be stored, including NaN in metrics, and ParameterError if
        the store cannot be written.
        """
        from safetensors.torch import save_file
        path = self.path(stage, slug, config)
        config, metrics = plain(config, "config"), plain(metrics, "metrics")
        made = provenance.current() | plain(made or {}, "made")
        about = {"stage": stage, "slug": slug, "config": config, "provenance": made}
        self.sweep(stage)
        token = f".tmp-{uuid.uuid4().hex}"
        with self.lock(stage, token):  # held while writing, to tell other processes' `sweep` that the writer lives
            work = folder(path.parent / token)
            try:
                files.write(work / "config.json", json.dumps(about, indent=1))
                if tensors:
                    save_file(files.detached(tensors), work / TENSORS)
                    files.fsync(work / TENSORS)
                if log is not None:
                    records = (canonical(plain(record, "log", finite=False)) + "\n" for record in log)
                    files.write(work / "log.jsonl", "".join(records))
                sums = {f.name: {"sha256": files.sha256(f), "bytes": f.stat().st_size} for f in sorted(work.iterdir())}
                checked = {"metrics": metrics, "metrics_sha256": files.text_sha256(canonical(metrics)), "files": sums}
                files.write(work / "metrics.json", json.dumps(checked, indent=1))
                files.fsync(work)
                while (artifact := self.find(stage, slug, config)) is None:
                    try:
                        os.rename(work, path)
                        files.fsync(path.parent)
                    except OSError:
                        if not path.exists():  # the only failure to expect here: another writer came first
                            raise
            finally:
                shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(self.base / ".partial" / stage / path.name, ignore_errors=True)
        return artifact

    def all(self, stage: str | None = None) -> list[Artifact]:
        """Every sound artifact of one stage, or of all stages, ordered by id; tensors are verified only when loaded."""
        folders = _word(stage, "stage") if stage else "[!.]*"
        found = []
        for path in sorted(self.base.glob(f"{folders}/[!.]*")):
            try:
                found.append(_read(path, deep=False))
            except UNSOUND as error:
                logger.warning("%s is not usable (%s): left out", path, error)
        return found

    @contextmanager
    def lock(self, stage: str, name: str) -> Iterator[None]:
        """Wait until a named lock is free, then hold it; only one process at a time can.

        Raises ParameterError if the store cannot be written.
        """
        try:
            file = self._lock_file(stage, name)
            held = FileLock(file)
            held.acquire(timeout=0)
        except Timeout:
            logger.warning("waiting for another process, which is working on %s/%s", stage, name)
            held.acquire()
        except OSError as error:
            raise ParameterError(f"these results are not in {self.base}, which cannot be written ({error.strerror}); "
                                 "allowed: a folder of your own, named by UNIDELTA_RUNS") from None
        try:
            yield
        finally:
            # after the release, a process that waits finds the file gone and makes another
            file.unlink(missing_ok=True)
            held.release()  # the lock of a killed process is freed by the system

    def partial(self, stage: str, slug: str, config: dict) -> Path:
        """Folder for checkpoints of unfinished work on this artifact, created if absent; `save` removes it."""
        return folder(self.base / ".partial" / stage / self.path(stage, slug, config).name)

    def of_stack(self, stage: str, stack: list[tuple[str, dict]]) -> Path:
        """Folder for checkpoints of several artifacts that are made at once, each (slug, config).

        It lies in the partial folder of the last artifact, which is removed when that one is saved. Its name stands for
        the whole stack, because another stack may end with the same artifact.
        """
        names = [self.path(stage, *named).name for named in stack]
        work = folder(self.partial(stage, *stack[-1]) / key({"stack": names}))
        files.write(work / STACK, json.dumps(names))
        return work

    def begun(self, stage: str) -> list[list[str]]:
        """The stacks whose work was begun and left unfinished, each as the names of its artifacts."""
        found = []
        for file in sorted((self.base / ".partial" / stage).glob(f"*/*/{STACK}")):
            with suppress(*UNSOUND):  # killed while writing this file: nothing was begun
                found.append(json.loads(file.read_text(encoding="utf-8")))
        return found

    def sweep(self, stage: str) -> None:
        """Delete what writers that no longer run have left under temporary names."""
        for left in (self.base / _word(stage, "stage")).glob(".tmp-*"):
            try:
                with FileLock(self._lock_file(stage, left.name), timeout=0):
                    shutil.rmtree(left, ignore_errors=True)
            except Timeout:
                continue  # its writer is still at work
            self._lock_file(stage, left.name).unlink(missing_ok=True)

    def _lock_file(self, stage: str, name: str) -> Path:
        return folder(self.base / ".locks") / f"{_word(stage, 'stage')}-{name}.lock"


def _read(path: Path, config: dict | None = None, deep: bool = True) -> Artifact:
    """Read the artifact at `path`; `deep` hashes tensors, too.

    Raises one of UNSOUND if it is incomplete, altered or not of `config`.
    """
    record = json.loads((path / "metrics.json").read_text(encoding="utf-8"))
    if files.text_sha256(canonical(record["metrics"])) != record["metrics_sha256"]:
        raise ValueError("metrics.json was altered")
    for name, expected in record["files"].items():
        if (path / name).stat().st_size != expected["bytes"]:
            raise ValueError(f"{name} is truncated or altered")
        if (deep or name != TENSORS) and files.sha256(path / name) != expected["sha256"]:
            raise ValueError(f"{name} was altered")
    about = json.loads((path / "config.json").read_text(encoding="utf-8"))
    if "config.json" not in record["files"] or not path.name.endswith(f"-{key(about['config'])}"):
        raise ValueError("config.json belongs to another artifact")
    if config is not None and canonical(about["config"]) != canonical(config):
        raise ValueError("config.json holds another config")
    name = f"{path.parent.name}/{path.name}"
    return Artifact(path, name, about["config"], record["metrics"], about["provenance"], record["files"])


def _word(text: str, what: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        raise ValueError(f"{what} {text!r}: allowed are letters, digits and . _ - with a letter or digit first")
    return text
