"""Which of the tasks' rows can be had: computed once where a mirror is, stored in data/availability/.

    python -m unidelta.report.availability --mirror DIR --md5 FILE   reads, formats and splits every task; a few minutes

splits.tsv has one line per split, parts.tsv one per task; about.json says when and with what they were made. They hold
counts, checksums and facts about provenance (from the mirror's MANIFEST.tsv), never a row. The chapter on the data
shows them.
"""
import argparse
import json
import os
import platform
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

from unidelta import ROOT, files, tasks
from unidelta.sources import formats, mirror, registry
from unidelta.sources.registry import Task

FOLDER = ROOT / "data" / "availability"
SPLITS = ["task", "split", "hub_id", "config", "file", "rows", "labelled", "sha256", "rows_in_source", "source",
          "licence", "note"]
PARTS = ["task", *tasks.PARTS, "fault"]


def splits(task: Task, folder: Path, known: dict) -> list[dict]:
    """One line per split that the hub has, with what the mirror holds of it.

    rows: number of rows in the file; labelled: number of those that CrossFit's format keeps."""
    lines = []
    for split in task.splits:
        line = dict.fromkeys(SPLITS, "") | {"task": task.name, "split": split,
                                            "hub_id": task.hub, "config": task.config}
        if file := mirror.path(task, split, folder):
            hub, config = file.parent.parent.name.replace("--", "/"), file.parent.name
            data, where = mirror.from_mirror(task, split, folder)
            facts = known.get((hub, config, file.stem), {})
            line |= {"hub_id": hub, "config": config, "file": file.stem, "rows": len(data),
                     "sha256": files.sha256(file)[:16],
                     "labelled": sum(1 for _ in formats.format_rows(task, mirror.records(data), where)),
                     "licence": facts.get("license", ""), "rows_in_source": facts.get("rows_in_source", ""),
                     "source": facts.get("source", ""), "note": facts.get("notes", "").strip("; ")}
        lines.append(line)
    return lines


def parts(task: Task, folder: Path) -> dict:
    """The number of rows in train, dev and test as `tasks.load` makes them (seed 0, no caps), or why there are none."""
    try:
        loaded = tasks.load(task.name, mirror=folder)
    except ValueError as error:
        return {"task": task.name, "train": "", "dev": "", "test": "",
                "fault": str(error).replace(f"{folder}{os.sep}", "")}
    return {"task": task.name, **{part: len(loaded[part]) for part in tasks.PARTS}, "fault": ""}


def record(folder: Path, sums: Path | None) -> None:
    """Write data/availability/ from a mirror.

    sums: CrossFit's published md5 sums, to be given if tests/test_fidelity.py reproduces them from this mirror."""
    known = mirror.manifest(folder)
    published = json.loads(sums.read_text(encoding="utf-8")) if sums else {}
    lines, totals = [], []
    for task in list(registry.TASKS.values()):  # without tasks of one's own, which are added when a task is read
        lines += splits(task, folder, known)
        totals.append(parts(task, folder))
        print(*totals[-1].values(), sep="\t", flush=True)
    drawn = [re.sub(r"_\d+_\d+_(train|dev|test)\.tsv$", "", name) for name in published]
    about = {"made": time.strftime("%Y-%m-%d", time.gmtime()),
             "command": "python -m unidelta.report.availability --mirror DIR --md5 FILE",
             "md5": sorted(set(drawn)), "manifest_sha256": files.sha256(folder / "MANIFEST.tsv") if known else None,
             "manifest_lines": len(known),
             "versions": {"python": platform.python_version(),
                          **{p: version(p) for p in ("datasets", "pyarrow", "numpy")}}}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, columns, rows in (("splits", SPLITS, lines), ("parts", PARTS, totals)):
        cells = [columns, *([" ".join(str(row[c]).split()) for c in columns] for row in rows)]
        files.write(FOLDER / f"{name}.tsv", "".join("\t".join(line) + "\n" for line in cells))
    files.write(FOLDER / "about.json", json.dumps(about, indent=1) + "\n")


def stored() -> tuple[dict[str, list[dict]], dict[str, dict], dict]:
    """(task -> lines of its splits, task -> its parts, about), as recorded."""
    by_task: dict[str, list[dict]] = {}
    for line in registry.table(FOLDER / "splits.tsv"):
        by_task.setdefault(line["task"], []).append(line)
    made = {line["task"]: line for line in registry.table(FOLDER / "parts.tsv")}
    about = json.loads((FOLDER / "about.json").read_text(encoding="utf-8"))
    return by_task, made, about


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m unidelta.report.availability",
                                     description="record what a mirror holds of the tasks", allow_abbrev=False)
    parser.add_argument("--mirror", help="its folder; default: the environment variable UNIDELTA_MIRROR")
    parser.add_argument("--md5", type=Path,
                        help="JSON of CrossFit's published md5 sums, if tests/test_fidelity.py passes with this mirror")
    options = parser.parse_args(arguments)
    try:
        record(mirror.root(options.mirror), options.md5)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
