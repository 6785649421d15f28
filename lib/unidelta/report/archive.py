"""Results that take too long to compute in a book build, kept as data: data/results/<name>/<variant>/.

The environment variable UNIDELTA_ARCHIVE names another folder to read them from, such as a study's `--out`.

An archived result is what a study gave (most call `report.collect`), as a frame, with the line that says what it was
obtained with. Beside it, artifacts.zip holds config.json, metrics.json and log.jsonl of every artifact that it lists,
as they are in the store (versions, seeds and hashes included). Tensors stay in the store.
"""

import json
import os
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from zipfile import ZIP_DEFLATED, ZipFile

import pandas as pd
from IPython.display import HTML, Markdown

from unidelta import ROOT, checks
from unidelta.report.measures import markdown
from unidelta.report.results import Results, counted, setting

FOLDER = Path(os.environ.get("UNIDELTA_ARCHIVE") or ROOT / "data" / "results").expanduser().absolute()
KEPT = ("config.json", "metrics.json", "log.jsonl")
PACKED = "artifacts.zip"


@dataclass(frozen=True)
class Archived(Results):
    """A `Results` read from data/results. line: what it was obtained with; folder: where its artifacts are."""

    line: str
    folder: str

    def logs(self, stage: str) -> list[list[dict]]:
        """The training logs of this stage's artifacts, one record per validation, in the order of their ids."""
        with ZipFile(FOLDER / self.folder / PACKED) as packed:
            texts = [packed.read(f"{i}/log.jsonl").decode() for i in self.ids if i.startswith(f"{stage}/")]
        return [[json.loads(line) for line in text.splitlines()] for text in texts]

    def caption(self, text: str) -> Markdown:
        return markdown(f"*{text} {self.line}; {counted(self.ids)}, archived.*")

    def provenance(self) -> HTML:
        listing = "\n".join(self.ids)
        return HTML(f"<details><summary>{counted(self.ids, 'archived artifact')} behind this page, in {self.place()}"
                    f"</summary><pre>{listing}</pre></details>")

    def place(self) -> str:
        packed = FOLDER / self.folder / PACKED
        return packed.relative_to(ROOT).as_posix() if packed.is_relative_to(ROOT) else str(packed)


def save(found: dict[str, Results], name: str, root: Path | None = None) -> Path:
    """Archive some variants of a study under data/results/`name` (or below `root`).

    What was there is replaced once all is written. Raises FileNotFoundError if the store does not have an artifact
    whole."""
    target = (root or FOLDER) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as work:
        for variant, results in found.items():
            folder = Path(work) / "new" / re.sub(r"[^A-Za-z0-9.=_-]+", "_", variant)
            folder.mkdir(parents=True)
            with ZipFile(folder / PACKED, "w", ZIP_DEFLATED) as packed:
                for i, part in product(results.ids, KEPT):
                    source = results.run.store.base / i / part
                    if source.exists() or part != "log.jsonl":  # what was not trained has no log
                        packed.write(source, f"{i}/{part}")
            results.frame.to_csv(folder / "frame.csv", index=False, float_format="%.6g")
            about = {"variant": variant, "seeds": results.seeds, "y": results.run.profile.y,
                     "line": setting(results.run, results.seeds), "ids": results.ids}
            (folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        old = Path(work) / "old"
        if target.exists():
            target.rename(old)
        try:
            (Path(work) / "new").rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
    return target


def names() -> list[str]:
    """The names of the archived studies."""
    return (sorted(p.name for p in FOLDER.iterdir() if p.is_dir() and not p.name.startswith("."))
            if FOLDER.is_dir() else [])


def _order(variant: str) -> tuple:
    """The key to sort variants by: the unchanged settings first, then by name, y=8 before y=16."""
    parts = re.split(r"(\d+)", variant)
    return variant != "unchanged", [int(part) if part.isdigit() else part for part in parts]


def load(name: str) -> dict[str, Archived]:
    """The archived variants of a study, the unchanged settings first. Raises ValueError if there is no such study."""
    checks.known(name, names(), "no archived study")
    found = {}
    for file in sorted((FOLDER / name).glob("*/about.json")):
        about = json.loads(file.read_text(encoding="utf-8"))
        frame = pd.read_csv(file.parent / "frame.csv")
        run = SimpleNamespace(profile=SimpleNamespace(y=about["y"]))  # tables ask nothing else of it
        found[about["variant"]] = Archived(run, about["seeds"], frame, about["ids"], about["line"],
                                           f"{name}/{file.parent.name}")
    return {variant: found[variant] for variant in sorted(found, key=_order)}


def further(archive: str, name: str) -> dict[str, Archived]:
    """The study `name` that a page shows beside its archived results; empty where it shows none (`archive` is none)
    and where the folder does not hold that study."""
    return load(name) if archive != "none" and name in names() else {}


def part_of(more: dict[str, Archived], study: str) -> dict[str, Archived]:
    """Those variants of `more`, the study `more_seeds`, that another study has too, by their names there."""
    return {name.removeprefix(f"{study}: "): found for name, found in more.items() if name.startswith(f"{study}: ")}


def same_settings(found: Archived, results: Results) -> bool:
    """Whether an archived result was obtained with the settings and the backbone of `results`, whatever its seeds."""
    return found.line == setting(results.run, found.seeds)


def beside(results: Results, name: str) -> Archived | None:
    """The variant of a study obtained with exactly the settings, backbone and seeds of `results`, or None."""
    line = getattr(results, "line", None) or setting(results.run, results.seeds)
    study = load(name) if name in names() else {}
    return next((found for found in study.values() if found.line == line), None)
