"""Tokenised rows: as if made fresh, shared by seeds and by concurrent writers, remade when unsound, small in memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
import tiny

from unidelta import data, tokens

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny.tokenizer(400)


def part(rows: int = 60, reverse: bool = False) -> datasets.Dataset:
    order = list(range(rows))[::-1 if reverse else 1]
    return datasets.Dataset.from_dict({"input": [f"row {'x' * (i % 7)} {i}" for i in order],
                                       "targets": [[f"answer {i}", "ü"][: 1 + i % 2] for i in order]})


def plain(columns) -> list:
    inputs, labels, answers = columns
    return [[row.tolist() for row in inputs], [row.tolist() for row in labels], list(answers)]


def encode(tokenizer, split, root, max_length: int = 12, task: str = "qasc"):
    return tokens.encode(tokenizer, task, "embedded", "train", split, max_length, root)


def expected(tokenizer, split, max_length: int = 12) -> list:
    """Return the rows, tokenised one by one and without any file."""
    cut = {"truncation": True, "max_length": max_length}
    return [[tokenizer(f" [qasc] {t}", **cut)["input_ids"] for t in split["input"]],
            [tokenizer(f"<extra_id_0>{t[0]}", **cut)["input_ids"] for t in split["targets"]], split["targets"][:]]


def test_rows_from_the_file_equal_fresh_ones_in_our_order(tokenizer, tmp_path, monkeypatch):
    split, other = part(), part(reverse=True)
    wanted = expected(tokenizer, split)
    assert plain(encode(tokenizer, split, tmp_path)) == wanted
    # from here on everything must come from the file, also for the same rows in another order
    monkeypatch.setattr(tokens, "_tokenise", None)
    found = encode(tokenizer, split, tmp_path)
    assert plain(found) == wanted
    assert plain(encode(tokenizer, other, tmp_path)) == expected(tokenizer, other)
    assert len(list((tmp_path / ".tokens").iterdir())) == 1
    assert found[0][0].dtype == np.uint16
    assert [r.tolist() for r in found[0][:5][1:3]] == wanted[0][1:3]
    assert found[2] == wanted[2]
    assert found[2] != wanted[2][:-1]
    assert found[2][3:5] == wanted[2][3:5]


def test_every_setting_has_a_file_of_its_own(tokenizer, tmp_path):
    answered = datasets.Dataset.from_dict({"input": part()["input"][:], "targets": 60 * [["other"]]})
    for change in ({}, {"max_length": 9}, {"task": "dream"}, {"split": part(59)}, {"split": answered},
                   {"tokenizer": tiny.tokenizer(300)}):
        encode(**{"tokenizer": tokenizer, "split": part(), "root": tmp_path} | change)
    assert len(list((tmp_path / ".tokens").iterdir())) == 6


@pytest.mark.parametrize("fault", ["truncated", "altered", "empty", "foreign", "other rows"])
def test_an_unsound_file_is_never_used(tokenizer, tmp_path, fault, caplog):
    split = part()
    encode(tokenizer, split, tmp_path)
    file, = (tmp_path / ".tokens").iterdir()
    sound = file.read_bytes()
    if fault == "other rows":  # a sound file under another's name
        encode(tokenizer, part(30), tmp_path / "other")
        theirs, = (tmp_path / "other" / ".tokens").iterdir()
        file.unlink()
        (file.parent / (file.stem.rsplit("-", 1)[0] + "-" + theirs.stem.rsplit("-", 1)[1] + ".arrow")
         ).write_bytes(theirs.read_bytes())
    else:
        middle = len(sound) // 2
        file.write_bytes({
            "truncated": sound[:-20], "altered": sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1:],
            "empty": b"", "foreign": b"not ours"}[fault])
    assert plain(encode(tokenizer, split, tmp_path)) == expected(tokenizer, split)
    assert "is not usable" in caplog.text
    assert "tokenising its rows again" in caplog.text
    assert [f.read_bytes() for f in (tmp_path / ".tokens").iterdir()] == [sound]


def test_where_nothing_can_be_written_the_rows_stay_in_memory(tokenizer, tmp_path, caplog):
    (tmp_path / ".tokens").write_text("in the way")
    assert plain(encode(tokenizer, part(), tmp_path)) == expected(tokenizer, part())
    assert "cannot be written" in caplog.text


def test_an_interrupt_while_a_file_is_written_leaves_nothing(tokenizer, tmp_path, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt
    monkeypatch.setattr(tokens.files, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode(tokenizer, part(), tmp_path)
    assert not list((tmp_path / ".tokens").iterdir())


def test_what_a_call_leaves_in_the_tokenizer_does_not_change_its_fingerprint():
    fresh, used = tiny.tokenizer(300), tiny.tokenizer(300)
    used(["a", "b c d"], truncation=True, max_length=3, padding=True)
    assert tokens.fingerprint(fresh) == tokens.fingerprint(used) != tokens.fingerprint(tiny.tokenizer(301))


def test_the_fingerprint_follows_the_side_that_is_cut_and_the_library(monkeypatch):
    left, later = tiny.tokenizer(300), tiny.tokenizer(300)
    left.truncation_side = "left"
    prints = [tokens.fingerprint(tiny.tokenizer(300)), tokens.fingerprint(left)]
    monkeypatch.setattr(tokens.tokenizers, "__version__", "another")
    assert len({*prints, tokens.fingerprint(later)}) == 3


def test_a_large_vocabulary_has_room_for_its_numbers():
    class Large:
        def __len__(self):
            return 2**16 + 1

        def __call__(self, texts, **cut):
            return {"input_ids": [[2**16] for _ in texts]}

    assert tokens._tokenise(Large(), "qasc", part(3), 12)["inputs"].to_pylist() == 3 * [[2**16]]


def test_the_fingerprint_of_the_data_is_that_of_the_rows_in_one_text():
    """It names artifacts, so it must not change with the way it is computed."""
    import hashlib
    splits = {name: part(n) for name, n in (("train", 2500), ("dev", 1), ("test", 3))}
    whole = repr([(s, splits[s]["input"][:], splits[s]["targets"][:]) for s in ("train", "dev", "test")])
    assert data._fingerprint(splits, "") == hashlib.sha256(whole.encode()).hexdigest()[:16]


WRITER = """
import json, sys
from pathlib import Path
import datasets
from transformers import PreTrainedTokenizerFast
from unidelta import tokens
split = datasets.Dataset.from_dict({"input": [f"row {i}" for i in range(4000)], \
"targets": [["yes", "no"][:1 + i % 2] for i in range(4000)]})
words = PreTrainedTokenizerFast(tokenizer_file="data/backbone/tokenizer.json")
inputs, _, answers = tokens.encode(words, "qasc", "embedded", "train", split, 12, Path(sys.argv[1]))
print(json.dumps([[row.tolist() for row in inputs], list(answers)]))
"""


def start(script: str, *arguments) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib"), "OMP_NUM_THREADS": "1",
                                "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, env=environment,
                            stdout=subprocess.PIPE, text=True)


def test_two_writers_at_once_leave_one_sound_file(tmp_path):
    said = [json.loads(p.communicate()[0]) for p in [start(WRITER, tmp_path), start(WRITER, tmp_path)]]
    assert said[0] == said[1]
    assert said[0][1][:2] == [["yes"], ["yes", "no"]]
    assert len(said[0][0]) == 4000
    assert [f.suffix for f in (tmp_path / ".tokens").iterdir()] == [".arrow"]


MEMORY = """
import sys
sys.path.insert(0, "benchmarks")
import data_memory
for peak in data_memory.peaks(tasks=3, rows=20_000, words=12, folder=sys.argv[1]):
    print(peak)
"""


@tiny.linux
def test_sixty_tasks_of_twenty_thousand_rows_fit_into_two_gibibytes(tmp_path):
    """Three tasks are loaded, and what a further one adds to the peak is extrapolated to sixty.

    benchmarks/data_memory.py loads all sixty."""
    process = start(MEMORY, tmp_path)
    peaks = list(map(float, process.communicate()[0].split()))
    assert process.returncode == 0
    assert len(peaks) == 3
    assert peaks[-1] + 57 * (peaks[2] - peaks[1]) < 2048, peaks
