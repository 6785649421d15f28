"""The stand-ins: the hub's columns, CrossFit's label words, disjoint splits that are balanced together.

Nothing of their answer formats occurs in pre-training."""

import random
from collections import Counter

import pytest

from unidelta import curriculum, suite, tasks
from unidelta.sources import embedded, formats
from unidelta.world import corpus, skills

# the hub's own columns of each data set, and how many classes or options its rows have
HUB = {
    "glue-sst2": "sentence label idx", "rotten_tomatoes": "text label", "amazon_polarity": "label title content",
    "glue-mnli": "premise hypothesis label idx", "superglue-rte": "premise hypothesis idx label",
    "scitail": "sentence1_binary_parse sentence1_parse sentence1 sentence2_parse sentence2 annotator_labels gold_label",
    "glue-qqp": "question1 question2 label idx", "glue-mrpc": "sentence1 sentence2 label idx",
    "superglue-wic": "word sentence1 sentence2 start1 start2 end1 end2 idx label",
    "superglue-wsc": "text span1_index span2_index span1_text span2_text idx label",
    "dream": "id dialogue_id dialogue question choice answer",
    "qasc": "id question choices answerKey fact1 fact2 combinedfact formatted_question",
    "codah": "id question_category question_propmt candidate_answers correct_answer_idx",
    "quartz-no_knowledge": "id question choices answerKey para para_id para_anno question_anno",
    "superglue-copa": "premise choice1 choice2 question idx label", "ai2_arc": "id question choices answerKey",
    "blimp-anaphor_number_agreement": "sentence_good sentence_bad field linguistics_term UID simple_LM_method "
                                      "one_prefix_method two_prefix_method lexically_identical pair_id",
}
LABELS = {
    "glue-sst2": "negative positive", "rotten_tomatoes": "negative positive", "amazon_polarity": "negative positive",
    "glue-mnli": "entailment neutral contradiction", "scitail": "entailment neutral",
    "superglue-rte": "entailment not_entailment",
    "glue-qqp": "not_duplicate duplicate", "glue-mrpc": "not_equivalent equivalent",
    "superglue-wic": "false true", "superglue-wsc": "false true",
}
OPTIONS = {"dream": 3, "codah": 4, "quartz-no_knowledge": 2, "superglue-copa": 2, "qasc": 8, "ai2_arc": 4}
NAMES = embedded.names()
FIRST = list(embedded.CLASSES)  # the tasks of the single-task setting, which pre-training was kept clear of


def test_the_single_task_suite_has_its_stand_ins():
    assert set(HUB) <= set(NAMES)
    assert set(NAMES) <= set(tasks.names())
    served = suite.single()
    assert set(served) >= {"glue-sst2", "glue-mnli", "glue-qqp", "superglue-wic", "dream"}
    assert {name for train, unseen in served.items() for name in (train, *unseen)} <= set(NAMES)
    assert all(suite.train_for(name) == train for train, unseen in served.items() for name in unseen)


@pytest.mark.parametrize("name", NAMES)
def test_rows_have_the_hubs_columns_and_splits_their_sizes(name):
    needed = set(formats.columns(tasks.get(name)))
    for split, size in {"train": 1000, "validation": 250, "test": 250}.items():
        rows = embedded.raw(name, split)
        assert len(rows) == size
        assert all(needed <= set(row) for row in rows)
        assert name not in HUB or all(set(row) <= set(HUB[name].split()) for row in rows)
        assert all(type(v) is type(rows[0][k]) for row in rows for k, v in row.items())


@pytest.mark.parametrize("name", NAMES)
def test_rows_have_the_mirrors_columns_and_types(name, mirror):
    import pyarrow.parquet as parquet
    task = tasks.get(name)
    file = next(iter(sorted((mirror / task.hub.replace("/", "--")).glob(f"{task.config}/*.parquet"))), None)
    if file is None:
        pytest.skip(f"{task.hub} is not in the mirror")
    real = parquet.read_table(file).slice(0, 1).to_pylist()[0]
    assert name not in HUB or set(real) <= set(HUB[name].split()), "the list above must be the hub's"
    for key, value in embedded.raw(name, "train")[0].items():
        assert type(value) is type(real[key])
        if isinstance(value, dict):
            assert set(value) <= set(real[key])


@pytest.mark.parametrize("name", FIRST)
def test_parts_share_no_input_and_stay_nearly_whole(name):
    parts = tasks.load(name, source="embedded")
    inputs = {part: parts[part]["input"][:] for part in parts}
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not set(inputs[one]) & set(inputs[other])
    assert len(inputs["test"]) >= 240, "hardly a row may be lost to duplicates"
    assert len(inputs["train"]) >= 700, "hardly a row may be lost to duplicates"
    assert all(text.strip() and targets and all(t.strip() for t in targets)
               for part in parts.values() for text, targets in zip(part["input"], part["targets"], strict=True))


@pytest.mark.parametrize("name", LABELS)
def test_label_words_are_crossfits_in_balance(name):
    words = LABELS[name].split()
    assert tasks.get(name).labels == words
    rows = tasks.rows(name, "train", "embedded")
    assert all(len(targets) == 1 for _, targets in rows)
    counts = Counter(targets[0] for _, targets in rows)
    assert set(counts) == set(words)
    assert max(counts.values()) - min(counts.values()) < 0.1 * len(rows)


@pytest.mark.parametrize("name", sorted({n for n in NAMES if tasks.get(n).labels} - set(LABELS)))
def test_all_label_words_are_in_use_and_no_other(name):
    counts = Counter(targets[0] for _, targets in tasks.rows(name, "train", "embedded"))
    assert set(counts) == set(tasks.get(name).labels)
    assert max(counts.values()) < 2 * min(counts.values())


@pytest.mark.parametrize("name", OPTIONS)
def test_the_right_option_stands_anywhere(name):
    where, n = Counter(), OPTIONS[name]
    for text, (answer,) in tasks.rows(name, "train", "embedded"):
        options = text.split("(A) ")[1]
        for letter in "BCDEFGH"[:n - 1]:
            options = options.replace(f" ({letter}) ", "\0")
        options = options.split("\0")
        assert len(set(options)) == n
        assert answer in options
        where[options.index(answer)] += 1
    assert set(where) == set(range(n))
    assert max(where.values()) < 1000 / n * 1.25


def test_the_right_sentence_of_a_minimal_pair_is_either():
    counts = Counter(targets[0] for _, targets in tasks.rows("blimp-anaphor_number_agreement", "train", "embedded"))
    assert set(counts) == {"sentence 1", "sentence 2"}
    assert min(counts.values()) > 400


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_a_function_of_the_seed(name):
    first = embedded.raw(name, "test", 5)
    random.seed(123)
    assert embedded.raw(name, "test", 5) == first != embedded.raw(name, "test", 6)
    assert embedded.raw(name, "test") == embedded.raw(name, "test", 0)


def test_rows_of_a_split_are_the_callers_own():
    embedded.raw("glue-sst2", "test").clear()
    assert len(embedded.raw("glue-sst2", "test")) == 250


@pytest.mark.parametrize("name, split, message", [
    ("sst2", "train", "no embedded stand-in for task 'sst2'; there is one for: glue-sst2, "),
    ("glue", "train", "no embedded stand-in for task 'glue'"),
    ("qasc", "dev", "no split 'dev'; allowed: train, validation, test")])
def test_unknown_tasks_and_splits_are_one_line(name, split, message):
    with pytest.raises(ValueError) as error:
        embedded.raw(name, split)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


# ---- no answer format leaks from pre-training


@pytest.fixture(scope="module")
def asked():
    """Return many pre-training items of every skill: (skill, input, target)."""
    rng = random.Random("leaks")
    rename = curriculum.mixture(curriculum.RECIPE["steps"], curriculum.RECIPE)["renamed"]
    return [skills.skill(rng, name, rename=rename) for name in skills.SKILLS for _ in range(1500)]


def test_no_skill_is_answered_with_a_tasks_label_word(asked):
    words = {word for name in FIRST for word in tasks.get(name).labels or []}
    assert len(words) >= 14
    assert not {answer for _, _, answer in asked} & words
    assert not [answer for _, _, answer in asked
                if set(answer.replace(".", "").split()) & (words - {"sentence 1", "sentence 2"})]


def test_an_option_alone_is_an_answer_only_where_a_cue_asks_for_it(asked):
    """Without the cue, choices are wrapped in a few words, and no prompt of a task has the cue.

    So the untuned backbone is not right by its format."""
    bare = [(question, answer) for name, question, answer in asked if name == "choice" and "just that!" in question]
    wrapped = {answer.strip().rstrip(".") for name, question, answer in asked
               if name == "choice" and "just that!" not in question}
    assert len(bare) > 200
    assert all(answer in question or "?" in question for question, answer in bare)
    for name in OPTIONS:
        rows = tasks.rows(name, "train", "embedded")
        assert not any("just that" in text for text, _ in rows)
        assert not {t[0].strip().rstrip(".") for _, t in rows} & wrapped, name


def test_no_prompt_of_a_task_occurs_in_pretraining(asked):
    skeletons = ["premise:", "hypothesis:", "[SEP]", "(A)", "(B)", "sentence:", "sentence 1:", "sentence 2:",
                 "question 1:", "question 2:", "title:", "content:", "word:", "text:", "span1_text", "span2_text",
                 *(f"[{name}]" for name in FIRST)]
    prompts = [text for name in FIRST for text, _ in tasks.rows(name, "test", "embedded")[:50]]
    rng = random.Random("texts")
    seen = [text for _, question, answer in asked for text in (question, answer)] \
        + [corpus.text(rng) for _ in range(5000)]
    for skeleton in skeletons:
        assert any(skeleton in text for text in prompts) or skeleton.startswith("["), \
            f"{skeleton} is no part of any prompt"
        found = [text for text in seen if skeleton in text]
        assert not found, f"{skeleton!r} in {found[0]!r}"


def test_no_test_input_occurs_in_pretraining(asked):
    seen = {question for _, question, _ in asked}
    rng = random.Random("texts")
    sentences = {sentence for _ in range(5000) for sentence in corpus.text(rng).split(". ")}
    for name in FIRST:
        for row in embedded.raw(name, "test"):
            texts = [v.strip() for v in row.values() if isinstance(v, str) and len(v.split()) > 4]
            assert not [t for t in texts if t in seen or t.rstrip(".") in sentences], f"{name}: {texts}"
