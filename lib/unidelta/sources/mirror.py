"""Where rows come from: the Hugging Face hub, or a mirror of it in a folder, for machines without the internet.

A mirror holds <namespace>--<name>/<config>/<split>.parquet with the hub's own columns.

python -m unidelta.sources.mirror build --out DIR [--task NAME]...
    copies the hub's data; resumes; keeps checksums in MANIFEST.tsv
python -m unidelta.sources.mirror check --mirror DIR [--task NAME]...
    reads, formats and verifies; exit status 1 on any fault
"""
import argparse
import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet

from unidelta.files import sha256
from unidelta.sources import formats, own, registry
from unidelta.sources.registry import Task

FIELDS = ["hub_id", "config", "split", "rows", "sha256"]


# --- reading ---------------------------------------------------------------------------------------------------------
def root(mirror: str | os.PathLike | None) -> Path:
    """The mirror's folder: the argument, or else the environment variable UNIDELTA_MIRROR.

    Raises ValueError if neither is given or it is not a folder.
    """
    folder = mirror or os.environ.get("UNIDELTA_MIRROR")
    if not folder:
        raise ValueError('source "mirror" needs a folder: pass mirror=... or set environment variable UNIDELTA_MIRROR')
    found = Path(folder).expanduser()
    if not found.is_dir():
        raise ValueError(f"the mirror {str(folder)!r} is not a folder")
    return found


def physical(task: Task, split: str) -> tuple[str, ...]:
    """The source's own names of a split, best first; one of the source's own names stands for itself.

    Raises ValueError for a split that the task does not have.
    """
    own = [name for theirs in task.splits.values() for name in theirs]
    if split not in task.splits and split not in own:
        allowed = ", ".join(dict.fromkeys([*task.splits, *own]))
        raise ValueError(f"task {task.name} has no split {split!r}; allowed: {allowed}")
    return task.splits.get(split, (split,))


def location(folder: Path, hub: str, config: str, split: str) -> Path:
    return folder / hub.replace("/", "--") / config / f"{split}.parquet"


def path(task: Task, split: str, mirror: str | os.PathLike | None) -> Path | None:
    """The file that holds a split of a task in a mirror; None if there is none.

    The folder of a data set with only one configuration may have either of the hub's two words for that.
    """
    folder = root(mirror)
    for hub, config in task.sources:
        for name in physical(task, split):
            for word in (config, "default", "plain_text"):
                file = location(folder, hub, word, name)
                if file.is_file():
                    return file
    return None


def from_mirror(task: Task, split: str, mirror: str | os.PathLike | None) -> tuple[datasets.Dataset, str]:
    """(data set of the needed columns, its file). Raises ValueError for a missing, truncated, empty or foreign file."""
    file = path(task, split, mirror)
    if file is None:
        wanted = location(root(mirror), task.hub, task.config, physical(task, split)[0])
        raise ValueError(f"task {task.name}, split {split}: the mirror has no file {wanted}")
    try:
        table = pyarrow.parquet.read_table(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{file}: not a readable parquet file ({str(error).splitlines()[0]:.120})") from None
    # without the stored feature types, class numbers stay numbers, and a subset of the columns contradicts nothing
    data = datasets.Dataset(datasets.table.InMemoryTable(table.replace_schema_metadata(None)))
    return _needed(task, data, str(file)), str(file)


def from_hub(task: Task, split: str) -> tuple[datasets.Dataset, str]:
    """(data set of the needed columns, its place) from the hub. Raises ValueError for what cannot be had."""
    where = f"{task.hub}/{task.config}/{physical(task, split)[0]}"
    return _needed(task, _whole(task, split), where), where


def _whole(task: Task, split: str) -> datasets.Dataset:
    """Every column of a split on the hub; a data set kept there as a script is read from the hub's parquet copy."""
    name = physical(task, split)[0]
    try:
        try:
            return datasets.load_dataset(task.hub, task.config, split=name)
        except RuntimeError as error:
            if "scripts are no longer supported" not in str(error):
                raise
            copy = f"hf://datasets/{task.hub}@~parquet/{task.config}/{name}/*.parquet"
            return datasets.load_dataset("parquet", data_files=copy, split="train")
    except Exception as error:  # of many kinds, of its libraries' own: no network, no such thing there, a faulty file
        told = str(error.__cause__ or error) or type(error).__name__
        raise ValueError(f"task {task.name}, split {split}: {task.hub}/{task.config} cannot be loaded from the hub "
                         f"({told.splitlines()[0]:.120}); a mirror folder (source mirror) needs no hub") from None


def _needed(task: Task, data: datasets.Dataset, where: str) -> datasets.Dataset:
    needed = formats.columns(task)
    for column in needed:
        if column not in data.column_names:
            raise ValueError(f"{where}: column {column!r} is missing; task {task.name} needs {', '.join(needed)}; "
                             f"the file has {', '.join(data.column_names)}")
    if not len(data):
        raise ValueError(f"{where}: no rows")
    return data.select_columns(needed)


def records(data: datasets.Dataset) -> Iterator[dict]:
    """The rows of a data set as dicts, read in batches (several times faster than one by one)."""
    for batch in data.iter(batch_size=1000):
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(batch, values, strict=True))


# --- building and checking -------------------------------------------------------------------------------------------
def manifest(folder: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """MANIFEST.tsv as (hub_id, config, split) -> row; empty without a file. Raises ValueError for a missing column."""
    file = folder / "MANIFEST.tsv"
    rows = registry.table(file) if file.is_file() else []
    if missing := [c for c in FIELDS[:3] if rows and c not in rows[0]]:
        raise ValueError(f"{file}: no column {missing[0]!r}; needed are {', '.join(FIELDS[:3])}")
    return {(row["hub_id"], row["config"], row["split"]): row for row in rows}


def build(out: str | os.PathLike, names: list[str] | None = None) -> None:
    """Copy every split of the named tasks (default: all); a file that matches the manifest is left alone."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    known = manifest(folder)
    for task in map(registry.get, names or registry.names()):
        for split in task.splits:
            name = physical(task, split)[0]
            key = (task.hub, task.config, name)
            file = location(folder, *key)
            if key in known and file.is_file() and sha256(file) == known[key].get("sha256"):
                continue
            data = _whole(task, split)
            _needed(task, data, "/".join(key))
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(f".{os.getpid()}.partial")
            try:
                data.to_parquet(str(partial))
                row = dict(zip(FIELDS, [*key, str(len(data)), sha256(partial)], strict=True))
                partial.replace(file)
            finally:  # not there if all went well; there after an error, or an interrupt
                partial.unlink(missing_ok=True)
            known[key] = known.get(key, {}) | row
            _write(folder / "MANIFEST.tsv", known)
            print(f"{task.name}: {'/'.join(key)}, {len(data)} rows")


def _write(file: Path, known: dict) -> None:
    """Write a manifest. Someone else's may have further columns, or lack some: what it says stays."""
    columns = dict.fromkeys(column for row in known.values() for column in row)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="", delimiter="\t", lineterminator="\n",
                                quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writeheader()
        writer.writerows(known.values())
    partial.replace(file)


def check(mirror: str | os.PathLike | None = None, names: list[str] | None = None) -> Iterator[tuple[str, str, str]]:
    """(task, split, outcome) for every split of the tasks: "<n> rows", "absent", "labels hidden" or "FAULT: why".

    A split that is present is read whole and formatted; where the manifest has a checksum, it is verified.
    """
    known = manifest(root(mirror))
    for task in map(registry.get, names or registry.names()):
        for split in task.splits:
            file = path(task, split, mirror)
            if file is None:
                yield task.name, split, "absent"
                continue
            config, hub = file.parent.name, file.parent.parent.name.replace("--", "/")
            stored = known.get((hub, config, file.stem), {}).get("sha256")
            try:
                if stored and sha256(file) != stored:
                    raise ValueError(f"{file}: checksum differs from MANIFEST.tsv")
                data, where = from_mirror(task, split, mirror)
                n = sum(1 for _ in formats.format_rows(task, records(data), where))
            except ValueError as error:
                yield task.name, split, f"FAULT: {error}"
                continue
            yield task.name, split, f"{n} rows" if n else "labels hidden"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m unidelta.sources.mirror",
                                     description="build or check a mirror of the data", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, folder in (("build", "--out"), ("check", "--mirror")):
        sub = commands.add_parser(command, allow_abbrev=False)
        sub.add_argument(folder, dest="folder", required=command == "build")
        sub.add_argument("--task", action="append", help="a task's name; may be given several times; default: all")
    options = parser.parse_args(arguments)
    try:
        own.read_all(os.environ.get("UNIDELTA_TASKS", ""))
        if options.command == "build":
            build(options.folder, options.task)
            return 0
        outcomes = list(check(options.folder, options.task))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for outcome in outcomes:
        print(*outcome, sep="\t")
    return int(any(result.startswith("FAULT") for *_, result in outcomes))


if __name__ == "__main__":
    sys.exit(main())
