"""The five metrics on small cases worked out by hand."""
import pytest

from unidelta import tasks
from unidelta.sources import metrics


@pytest.mark.parametrize("metric, predictions, targets, expected", [
    ("ACC", ["Yes", "no ", ""], [["yes"], ["no"], ["no"]], 2 / 3),
    ("ACC", ["b", "c"], [["a", "b"], ["a", "b"]], 1 / 2),
    ("ACC", ["yes."], [["yes"]], 0),  # accuracy keeps punctuation
    ("EM", ["The  U.S.A.!"], [["usa"]], 1),
    ("EM", ["an apple", "apples"], [["Apple", "pear"], ["apple"]], 1 / 2),
    ("EM", [""], [["a"]], 1),  # an article alone is normalised away
    ("EM", ["Zoë’s café"], [["zoë’s café"]], 1),  # only ASCII punctuation goes, as in SQuAD
    ("QA-F1", ["the red big cat"], [["red cat sat", "cat"]], 2 / 3),  # 2 of 3 and 3 words; one of 3 and 1
    ("QA-F1", ["cat cat"], [["cat"]], 2 / 3),  # words count as often as they stand there
    ("QA-F1", ["", "x"], [["x"], ["y"]], 0),
    ("QA-F1", ["naïve Übung"], [["übung"]], 2 / 3),
    ("ROUGE-L", ["a b c d"], [["a x c d", "q"]], 3 / 4),
    ("ROUGE-L", ["B, a!"], [["a b"]], 1 / 2),  # case and punctuation do not count, order does
    ("ROUGE-L", ["running"], [["runs"]], 0),  # no stemming
    ("ROUGE-L", ["", "..."], [["x"], ["x"]], 0),
    ("ROUGE-L", ["Привет, мир"], [["привет мир"]], 1),
    ("F1", ["a", "b", "b", "b"], [["a"], ["a"], ["b"], ["b"]], (2 / 3 + 4 / 5) / 2),
    ("F1", ["a", "other"], [["a"], ["b"]], 1 / 2),  # an unseen word is no third class
    ("F1", ["a", "a"], [["a"], ["a"]], 1),  # classes absent from the gold data do not count
    ("F1", ["A "], [["a", "A"]], 0),  # case counts; so does the first reference only
    ("F1", ["", ""], [["a"], ["b"]], 0),
])
def test_by_hand(metric, predictions, targets, expected):
    assert metrics.score(metric, predictions, targets) == pytest.approx(expected)


def test_tasks_have_the_released_metric():
    released = {"glue-sst2": "ACC", "rotten_tomatoes": "F1", "glue-mnli": "ACC", "superglue-rte": "ACC",
                "scitail": "F1", "codah": "F1", "dream": "ACC", "eli5-asks": "ROUGE-L", "quoref": "QA-F1",
                "proto_qa": "EM"}
    assert {name: tasks.get(name).metric for name in released} == released
    assert tasks.score("rotten_tomatoes", ["positive", "positive"], ["positive", "negative"]) == pytest.approx(1 / 3)
    assert tasks.score("glue-sst2", ["positive", "positive"], [["positive"], ["negative"]]) == 0.5


def test_scores_of_perfect_predictions_are_one():
    for name in tasks.names():
        assert tasks.score(name, ["negative day", "b"], [["negative day"], ["b"]]) == pytest.approx(1)


def test_bad_input_is_refused_in_one_line():
    for predictions, targets in ((["a"], []), ([], []), (["a", "b"], ["a"])):
        with pytest.raises(ValueError, match="as many predictions as targets, at least one"):
            metrics.score("ACC", predictions, targets)
    with pytest.raises(ValueError, match="example 1 has none"):
        metrics.score("EM", ["a", "b"], [["a"], []])
    with pytest.raises(ValueError, match="no metric 'BLEU'; allowed: F1, ACC, EM, QA-F1, ROUGE-L"):
        metrics.score("BLEU", ["a"], ["a"])
    with pytest.raises(ValueError, match="no task 'glue-sst'; the nearest"):
        tasks.score("glue-sst", ["a"], ["a"])
