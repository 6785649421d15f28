"""Rows of stand-ins asked in the words of pre-training.

Every task has a question, a right answer that is one of several, and a score that counts."""

import random
from types import SimpleNamespace

import pandas as pd
import pytest
from test_measures import sent_less
from test_report import grid, results

from unidelta import tasks
from unidelta.report import understanding
from unidelta.report.understanding import CHOICES, OPINION, PAIRS, asked, understood
from unidelta.sources import embedded

ALL = OPINION + PAIRS + CHOICES
TOKENS = SimpleNamespace(tokenizer=lambda texts: {"input_ids": [[len(text), 1] for text in texts]})


@pytest.mark.parametrize("name", ALL)
def test_a_row_is_asked_with_its_texts_and_without_its_answer_format(name):
    rng, rows = random.Random(0), embedded.raw(name, "validation")[:60]
    found = [asked(name, row, rng) for row in rows]
    assert len({right for _, right in found}) > 1, "no constant answer is right"
    for (text, right), (prompt, targets) in zip(found, tasks.rows(name, "validation", "embedded"), strict=False):
        assert right
        assert all(right)
        assert text not in prompt
        assert f"[{name}]" not in text
        assert not {"premise:", "hypothesis:", "sentence:", "(A)"} & set(text.split())
        if name in CHOICES:
            assert right == (targets[0],), "of options, the right one is the task's own answer"
            assert right[0] in text


@pytest.mark.parametrize(("name", "answers"), [
    ("glue-mnli", {"it follows", "who knows", "it fails"}), ("glue-qqp", {"yes", "no"}),
    ("glue-sst2", {"they did", "they did not"}), ("superglue-wsc", {"yes", "no"})])
def test_answers_are_those_of_pretraining(name, answers):
    rng = random.Random(1)
    assert {word for row in embedded.raw(name, "validation") for word in asked(name, row, rng)[1]} == answers


def test_two_classes_of_inference_take_either_word_for_what_does_not_follow():
    rows = embedded.raw("scitail", "validation")
    right = {row["gold_label"]: asked("scitail", row, random.Random(0))[1] for row in rows}
    assert right == {"entailment": ("it follows",), "neutral": ("it fails", "who knows")}


@pytest.mark.parametrize(("share", "score"), [(4, 1.0), (1, 0.25), (0, 0.0)])
def test_the_share_of_right_answers_is_counted(monkeypatch, share, score):
    rng = random.Random("understood/dream")
    right = [asked("dream", row, rng)[1][0] for row in embedded.raw("dream", "validation")[:40]]
    monkeypatch.setattr(understanding, "predict", lambda *_, **__: [
        [word if i % 4 < share else "it is" for i, word in enumerate(right)]])
    monkeypatch.setattr(understanding, "ROWS", 40)
    assert understood(TOKENS, "dream") == score


def test_the_table_has_every_task_and_backbone(monkeypatch):
    monkeypatch.setattr(understanding, "understood", lambda model, task: (
        0.5 if model.fingerprint == "f-one" else 0.25))
    monkeypatch.setattr(understanding.backbones, "load", lambda name: SimpleNamespace(fingerprint=f"f-{name}"))
    text = understanding.table(understanding.reading(["one", "two"])).data
    assert all(f"<td>{task}</td>" in text for task in ALL)
    assert text.count("<td>50.0</td>") == text.count("<td>25.0</td>") == len(ALL)
    assert "one<br><small>f-one</small>" in text
    assert text.index("glue-sst2") < text.index("dream") < text.index("rotten_tomatoes"), "training tasks come first"


def test_what_is_read_and_what_is_recovered_are_ranked_over_backbones():
    read = pd.DataFrame({"embedded": [90.0, 50.0, 90.0], "two": [80.0, 60.0, 80.0], "three": [70.0, 70.0, 70.0]},
                        index=["glue-sst2", "rotten_tomatoes", "amazon_polarity"])
    of = {name: results({"rotten_tomatoes": (100.0, 3 * [sub]), "amazon_polarity": (100.0, 3 * [0.0])})
          for name, sub in (("unchanged", 60.0), ("backbone=two", 70.0), ("backbone=three", 80.0))}
    assert grid(understanding.related(read, of)) == [
        ["unseen task", "training task", "by its own rows", "by the training task's"],
        ["rotten_tomatoes", "glue-sst2", "1.0", "-1.0"],
        ["above zero", "", "1 of 1", "0 of 1"]], "on the other task no backbone recovers anything"
    other = read.rename(columns={"embedded": "two", "two": "own folder"})
    assert grid(understanding.related(other, of))[1][2:] == ["1.0", "-1.0"], \
        "each column is compared with its own backbone's results, and one without any is left out"


def test_what_was_met_in_pretraining_is_counted():
    found = {row[0]: row[1:] for row in grid(understanding.met(
        ["superglue-copa", "codah", "glue-qqp", "qasc", "acronym_identification", "race-high"], items=4000))[1:]}
    assert float(found["superglue-copa"][1]) > 20, "its events are told there"
    assert "race-high" not in found, "it has no stand-in"
    assert found["glue-qqp"] == ["496", "0", "–"]
    assert found["acronym_identification"][:2] == ["0", "–"]
    assert found["qasc"][2] == "100", \
        "the questions of the test part are asked in the training rows, too, as Limits says"
    assert 35 < float(found["superglue-copa"][2]) < 45, "two fifths"
    assert 62 < float(found["codah"][2]) < 72, "two thirds"


def test_a_sentence_is_found_in_a_row_of_any_shape():
    row = {"text": "A dog ran. It was there, of course; too bad!",
           "more": ["One two three four.", {"x": "five six seven eight"}], "idx": 3}
    assert list(understanding._sentences(row)) == [
        "it was there of course", "one two three four", "five six seven eight"]


@pytest.mark.parametrize(("name", "words"), [
    *((t, {"positive": ("they did",), "negative": ("they did not",)}) for t in understanding.OPINION),
    ("glue-qqp", {"duplicate": ("yes",), "not_duplicate": ("no",)}),
    ("glue-mrpc", {"equivalent": ("yes",), "not_equivalent": ("no",)}),
    ("superglue-wic", {"true": ("yes",), "false": ("no",)}), ("superglue-wsc", {"true": ("yes",), "false": ("no",)}),
    ("glue-mnli", {"entailment": ("it follows",), "neutral": ("who knows",), "contradiction": ("it fails",)}),
    ("superglue-rte", {"entailment": ("it follows",), "not_entailment": ("it fails", "who knows")})])
def test_what_is_right_follows_from_the_rows_own_label(name, words):
    rng = random.Random(0)
    for row, (_, targets) in zip(embedded.raw(name, "validation")[:60], tasks.rows(name, "validation", "embedded"),
                                 strict=False):
        assert understanding.asked(name, row, rng)[1] == words[targets[0]]


def test_what_is_recovered_is_told_of_the_subspace():
    read = pd.DataFrame({"embedded": [90.0, 50.0], "two": [80.0, 60.0], "three": [70.0, 70.0]},
                        index=["glue-sst2", "rotten_tomatoes"])
    of_ = {name: sent_less(results({"rotten_tomatoes": (100.0, 3 * [sub])}), 2 * sub)
           for name, sub in (("unchanged", 60.0), ("backbone=two", 70.0), ("backbone=three", 80.0))}
    assert grid(understanding.related(read, of_))[1][2:] == ["1.0", "-1.0"]
