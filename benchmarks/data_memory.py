"""Peak memory of loading many large tasks at once: `python benchmarks/data_memory.py`.

The defaults are `--tasks 60 --rows 20000 --words 100`. A row is a few words in random order, in the columns of SST-2.
All tasks are made up, have the same rows and are added to the table. A task's name stands in all its inputs, so that no
two tasks share tokens. The peak is the process's largest resident set so far; memory-mapped pages count if they lie in
memory.
"""
import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import resources

from unidelta import backbone, data
from unidelta.sources import mirror, own

WORDS = ("the a old new red small river house teacher film was saw never gave quiet because under letter "
         "to and of in").split()


def peaks(tasks: int, rows: int, words: int, folder: str) -> Iterator[float]:
    """Load the tasks one by one, keep all, and yield the peak memory (MiB) after each.

    The mirror and the tokens go to `folder`.
    """
    t5, made = backbone.load("embedded", device="cpu"), Path(folder) / "made"
    made.mkdir()
    for split, n in (("train", rows), ("validation", rows // 20)):
        write(made / f"{split}.parquet", n, words)
    for number in range(tasks):
        task = own.add({"name": f"memory-{number}", "category": "SA", "metric": "ACC",
                        "hub": f"made-up/memory-{number}", "splits": "train, validation", "test": "validation",
                        "input": "sentence: {sentence}", "target": "label label", "labels": "negative; positive"})
        place = mirror.location(Path(folder), task.hub, task.config, "train").parent
        place.parent.mkdir(parents=True)
        place.symlink_to(made)
        data.load(t5, task.name, "mirror", folder, 0, {"train": None, "dev": None, "test": None}, 512, Path(folder))
        yield resources.peak(t5.device)


def write(file: Path, rows: int, words: int) -> None:
    rng = random.Random(rows)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(words // 2, words * 3 // 2))) for _ in range(rows)]
    pyarrow.parquet.write_table(pyarrow.table({"sentence": texts, "label": [i % 2 for i in range(rows)]}), file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    for option, default in (("--tasks", 60), ("--rows", 20_000), ("--words", 100)):
        parser.add_argument(option, type=int, default=default)
    given = vars(parser.parse_args())
    least = {"tasks": 1, "rows": 20, "words": 2}
    for name, value in given.items():
        if value < least[name]:
            parser.error(f"--{name} {value} is not allowed; allowed: a whole number from {least[name]}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        for done, peak in enumerate(peaks(**given, folder=scratch), 1):
            print(f"{done} tasks: {peak:.0f} MiB, {time.monotonic() - start:.0f} s", flush=True)
