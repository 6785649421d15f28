"""Byte for byte: CrossFit's few-shot files, drawn again from the mirror, have the published md5 sums."""
import hashlib
import json
import re

import numpy as np

from unidelta import tasks


def drawn(name: str, train: list, test: list, k: int, seed: int) -> dict[str, list]:
    """CrossFit's draw: k rows (per label, for classification) for train, the next k for dev, all of test."""
    lines = list(train)
    np.random.RandomState(seed).shuffle(lines)
    groups = {}
    for line in lines:
        groups.setdefault(line[1][0] if tasks.get(name).labels else "", []).append(line)
    return {"train": [line for group in groups.values() for line in group[:k]],
            "dev": [line for group in groups.values() for line in group[k:2 * k]], "test": test}


def md5(lines: list) -> str:
    return hashlib.md5("".join("\t".join([text, *targets]) + "\n" for text, targets in lines).encode()).hexdigest()


def test_published_md5_sums_are_reproduced(shared, mirror):
    oracle = json.loads((shared / "oracle" / "crossfit_md5.json").read_text())
    wanted = {}
    for file, digest in oracle.items():
        name, k, seed, part = re.fullmatch(r"(.+)_(\d+)_(\d+)_(train|dev|test)\.tsv", file).groups()
        wanted.setdefault(name, {}).setdefault((int(k), int(seed)), {})[part] = digest
    wrong, right = [], 0
    for name, files in wanted.items():
        needed = {part for parts in files.values() for part in parts}
        cut = tasks.get(name).test == "cut"
        train = tasks.rows(name, "train", mirror=mirror) if cut or needed - {"test"} else []
        train, test = tasks.crossfit_cut(train) if cut else (train, tasks.rows(name, "validation", mirror=mirror))
        for (k, seed), parts in files.items():
            ours = drawn(name, train, test, k, seed)
            for part, digest in parts.items():
                right += md5(ours[part]) == digest
                wrong += [] if md5(ours[part]) == digest else [f"{name}_{k}_{seed}_{part}"]
    assert not wrong
    assert right == len(oracle) > 200
