"""The wider suite of stand-ins: every category, exact balance, one answer per input.

No constant and no copy gets the answers right."""
import hashlib
import json
import random
import re
from collections import Counter, defaultdict
from functools import cache
from zipfile import ZipFile

import pytest

from unidelta import data, profiles, tasks
from unidelta.report import archive
from unidelta.sources import embedded, formats, metrics, registry
from unidelta.world import W, corpus, skills

# the hub's own columns; those that a stand-in does without stand behind the bar
HUB = {
    "imdb": "text label", "yelp_polarity": "text label", "emotion": "text label", "tweet_eval-offensive": "text label",
    "tweet_eval-stance_climate": "text label", "sms_spam": "sms label", "google_wellformed_query": "rating content",
    "ethos-gender":
        "text gender | violence directed_vs_generalized race national_origin disability religion sexual_orientation",
    "ethos-directed_vs_generalized":
        "text directed_vs_generalized | violence gender race national_origin disability religion sexual_orientation",
    "health_fact": "claim label | claim_id date_published explanation fact_checkers main_text sources subjects",
    "glue-qnli": "question sentence label idx", "glue-wnli": "sentence1 sentence2 label idx",
    "paws": "id sentence1 sentence2 label",
    "blimp-anaphor_gender_agreement":
        "sentence_good sentence_bad | field linguistics_term UID simple_LM_method pair_id",
    "blimp-ellipsis_n_bar_1": "sentence_good sentence_bad | field linguistics_term UID simple_LM_method pair_id",
    "commonsense_qa": "question choices answerKey | id question_concept",
    "quarel": "answer_index question | id logical_forms world_literals",
    "sciq": "question distractor1 distractor2 distractor3 correct_answer support",
    "wino_grande": "sentence option1 option2 answer",
    "eli5-eli5": "title selftext answers | q_id category subreddit title_urls selftext_urls",
    "eli5-askh": "title selftext answers | q_id subreddit document url",
    "eli5-asks": "title selftext answers | q_id subreddit document url",
    "web_questions": "question answers | url", "boolq": "question answer passage",
    "quoref": "question context answers | id title url",
    "qa_srl": "sentence question answers | sent_id predicate_idx predicate",
    "ade_corpus_v2-dosage": "text drug dosage | indexes",
    "xsum": "document summary | id", "wikisql": "question sql | phase table",
    "acronym_identification": "tokens labels | id",
    "cos_e": "question choices abstractive_explanation | id answer extractive_explanation",
}
NAMES = list(HUB)
LABELLED = [n for n in NAMES if tasks.get(n).labels and "blimp" not in n]
SPLITS = tuple(embedded.SIZES)


@cache
def everything(name: str) -> list[tuple[str, list[str]]]:
    return [row for split in SPLITS for row in tasks.rows(name, split, "embedded")]


def test_the_suite_covers_the_paper():
    have = set(embedded.names())
    assert have >= set(NAMES)
    assert set(registry.names("multi", "unseen")) <= have
    assert {n for n in registry.names() if registry.get(n).single} <= have
    train = [n for n in registry.names("multi", "train") if n in have]
    assert len(train) >= 20
    assert {tasks.category(n) for n in train} == {tasks.category(n) for n in registry.names("multi", "train")}


def test_the_first_seventeen_are_frozen():
    """The backbone's vocabulary and every result in a store were made with exactly these rows."""
    first = list(embedded.CLASSES)
    assert len(first) == 17
    assert not set(first) & set(NAMES)
    digest = hashlib.sha256("".join(repr(embedded.raw(n, s)) for n in first for s in SPLITS).encode()).hexdigest()
    assert digest.startswith("b17b7723da951397")


@cache
def archived() -> dict[str, set[str]]:
    """Task -> the hashes of the rows of which its archived solutions of seed 0 were made."""
    made = defaultdict(set)
    for results in (r for name in ("backbones", "long_answers", "multi_task") for r in archive.load(name).values()):
        with ZipFile(archive.FOLDER / results.folder / archive.PACKED) as packed:
            for i in (i for i in results.ids if i.startswith("original/")):
                config = json.loads(packed.read(f"{i}/config.json"))["config"]
                if config["seed"] == 0:
                    made[config["task"]].add(config["data"])
    return made


@pytest.mark.parametrize("name", sorted(archived()))
def test_what_is_archived_was_made_of_todays_rows(name):
    caps = profiles.get("embedded").caps
    rows = tasks.load(name, source="embedded", seed=0, caps=caps)
    assert archived()[name] == {data._fingerprint(rows, tasks.scored_by(name))}


@pytest.mark.parametrize("name", NAMES)
def test_rows_have_the_hubs_columns(name):
    kept, _, left = HUB[name].partition("|")
    for row in embedded.raw(name, "validation"):
        assert set(row) == set(kept.split())
        assert not set(row) & set(left.split())
        assert set(formats.columns(tasks.get(name))) <= set(row)


@pytest.mark.parametrize("name", LABELLED)
def test_classes_are_in_exact_balance(name):
    counts = Counter(answer for _, (answer,) in everything(name))
    assert set(counts) == set(tasks.get(name).labels)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_distinct_and_have_one_answer(name):
    rows = everything(name)
    answers = defaultdict(set)
    for text, targets in rows:
        answers[text.strip()].add(targets[0])
    assert len(answers) == len(rows)
    assert all(len(found) == 1 for found in answers.values())
    parts = [{text for text, _ in tasks.rows(name, split, "embedded")} for split in SPLITS]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]


@pytest.mark.parametrize("name", NAMES)
def test_rows_depend_on_the_seed_alone(name):
    afresh = embedded._rows.__wrapped__  # past the cache
    first = afresh(name, 0)
    assert first[-250:] == embedded.raw(name, "test")
    assert first != afresh(name, 1)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(LABELLED)))
def test_no_constant_answers_a_task_of_text(name):
    rows = tasks.rows(name, "train", "embedded")
    if "blimp" in name:
        assert max(Counter(targets[0] for _, targets in rows).values()) < 560
    else:
        assert max(Counter(targets[0] for _, targets in rows).values()) < 150


@pytest.mark.parametrize("name", ["eli5-eli5", "eli5-askh", "eli5-asks"])
def test_long_form_answers_follow_from_the_question(name):
    rows = tasks.rows(name, "test", "embedded")
    gold = [targets for _, targets in rows]
    assert 8 < sum(len(t[0].split()) for t in gold) / len(gold) < 13
    some = random.Random(0).sample([t[0] for _, t in tasks.rows(name, "train", "embedded")], 12)
    assert max(metrics.score("ROUGE-L", [answer] * len(gold), gold) for answer in some) < 0.45, \
        "one answer for all questions"
    assert metrics.score("ROUGE-L", [text for text, _ in rows], gold) < 0.45, "the question for an answer"


# ---- what the rows say is right


def relation(x: str, more: bool) -> tuple[str, bool]:
    y, sign = next((y, sign) for cause, y, sign in W["nature"]["relation"] if cause == x)
    return y, more == (sign == "+")


def test_relations_have_the_lexicons_sign():
    for row in embedded.raw("quarel", "train"):
        more, x, one, two, asked, y, a, b = re.fullmatch(
            r"\w+ finds (\w+) (\w+) in the (\w+) than in the (\w+)\. "
            r"So there is (\w+) (\w+) in the _____ \(A\) (\w+) \(B\) (\w+)", row["question"]).groups()
        assert {a, b} == {one, two}
        # more or less of x in `one`, hence of y there, the reverse in `two`
        effect, up = relation(x, more == "more")
        assert y == effect
        assert [a, b][row["answer_index"]] == (one if up == (asked == "more") else two)
    found = [t[0] for _, t in everything("eli5-asks") if "means" in t[0]]
    for answer in found:
        for more, x, so, y in re.findall(r"(more|less) (\w+) means (more|less) (\w+)", answer.lower()):
            assert relation(x, more == "more") == (y, so == "more")
    assert len(found) > 400


def test_what_is_unlike_in_two_creatures_is_in_the_lexicon():
    table = {c: rest for c, *rest in W["nature"]["creature"]}
    for text, (answer,) in everything("eli5-eli5"):
        for column, pattern in enumerate([r"(\w+) eat (\w+)", r"(\w+) live in (\w+)", r"(\w+) give us (\w+)"]):
            for c, value in re.findall(pattern, answer.lower()):
                assert table[c][column] == value
                assert f" {c}" in text.lower()


def test_a_paraphrase_keeps_together_what_belongs_together():
    together = re.compile(r"\b(?:a|an) \w+ \w+|\w+ (?:called|helped|warned|followed|praised|thanked) \w+")
    for row in embedded.raw("paws", "train"):
        one, two = row["sentence1"].split(), row["sentence2"].split()
        assert Counter(w.lower() for w in one if w != ",") == Counter(w.lower() for w in two if w != ","), \
            "the same words"
        first, second = (set(together.findall(row[s])) for s in ("sentence1", "sentence2"))
        assert first
        assert (first == second) == bool(row["label"])


def test_spans_are_the_ones_asked_for():
    for text, (long,) in tasks.rows("acronym_identification", "train", "embedded"):
        short = text.split("[SEP] acronym: ")[1]
        assert short == "".join(word[0] for word in long.split())
        assert f"{long} ( {short} )" in text
    for row in embedded.raw("ade_corpus_v2-dosage", "train"):
        assert f" {row['drug']} , {row['dosage']} " in row["text"]
    for row in embedded.raw("sciq", "train"):
        assert row["correct_answer"] in row["support"].lower()
        assert row["correct_answer"] not in [row[f"distractor{i}"] for i in (1, 2, 3)]
    for row in embedded.raw("google_wellformed_query", "train"):
        assert (row["content"].split()[0] in ("where", "what", "why", "when", "does")) or row["rating"] < 0.4
    for row in embedded.raw("wino_grande", "train"):
        one, two = row["option1"], row["option2"]
        assert one != two
        assert one in row["sentence"]
        assert two in row["sentence"]
        assert row["sentence"].count("_") == 1


def test_pronouns_mean_the_one_of_their_gender():
    for row in embedded.raw("glue-wnli", "train"):
        pronoun = re.search(r" (he|she) ", row["sentence1"])[1]
        pool = W["people"]["male" if pronoun == "he" else "female"]
        assert (row["sentence2"].split()[0] in pool) == bool(row["label"])
    for row in embedded.raw("blimp-anaphor_gender_agreement", "train"):
        good, bad = row["sentence_good"].split(), row["sentence_bad"].split()
        subject = next(w.strip(",") for w in good if w != "The")
        male = subject in W["people"]["male"] + W["people"]["he"]
        assert good[-1] == ("himself." if male else "herself.")
        assert good[:-1] == bad[:-1]
        assert {good[-1], bad[-1]} == {"himself.", "herself."}
    for row in embedded.raw("xsum", "train"):
        name = next(w for w in re.findall(r"\w+", row["document"]) if w in W["people"]["male"] + W["people"]["female"])
        assert ("\nHe " in row["document"]) == (name in W["people"]["male"])


def test_claims_are_as_true_as_their_label():
    """The lexicon judges both halves of a claim, which are read with a grammar of their own."""
    true = {f"{c} give us {gift}" for c, *_, gift in W["nature"]["creature"]} \
        | {f"{tool} is good for {use}" for tool, use in W["nature"]["used"]}
    true |= {f"{who} {act} each day" for who, act in W["cause"]["role"]} \
        | {f"{x} is known as {k}" for k, xs in W["kinds"].items() for x in xs}
    plain = lambda s: re.sub(r"\b(a|an) ", "", s)  # noqa: E731
    true = {plain(s) for s in true}
    for row in embedded.raw("health_fact", "train"):
        claim = plain(re.sub(r"^(\w+ of \w+ says that|In \w+ people know that) ", "", row["claim"]).rstrip("."))
        verdicts = {plain(half[0].lower() + half[1:]) in true
                    for half in plain(claim[0].lower() + claim[1:]).split(" and ")}
        if row["label"] != 3:
            assert verdicts == [{False}, {True, False}, {True}][row["label"]], row["claim"]


PAST = {base: past for verbs in W["scene"]["synonym"] for base, past in (verbs[:2], verbs[2:])}


def test_answers_are_found_where_the_passage_tells_of_what_is_asked():
    for row in embedded.raw("boolq", "train"):
        job, base, thing, city = re.fullmatch(r"did the (\w+) (\w+) (an? \w+) in (\w+)", row["question"]).groups()
        assert (f"The {job} {PAST[base]} {thing} in {city}." in row["passage"]) == row["answer"]
    for row in embedded.raw("quoref", "train"):
        about = next(filter(None, re.search(
            r"had the (.+)\?|did (.+) have|Where was the (.+)\?|was the (.+) there", row["question"]).groups()))
        told = re.findall(r"\w+ came [^.]*\. (?:He|She) [^.]*\.", row["context"])
        assert len(told) == 2
        assert any(about in one and row["answers"]["text"][0] in one for one in told)
    for row in embedded.raw("qa_srl", "train"):
        verb = re.search(r"^who (\w+) |someone (\w+) ", row["question"])
        past = verb[1] or PAST[verb[2]]
        clause, = (half for half in row["sentence"].lower().split(" and ") if f" {past} " in half)
        assert all(answer.lower() in clause for answer in row["answers"])
    for row in embedded.raw("glue-qnli", "train"):
        asked, job, thing = re.fullmatch(
            r"(?:On|In) which (\w+) did the (\w+) \w+ the (\w+)\?", row["question"]).groups()
        words = set(re.findall(r"\w+", row["sentence"]))
        assert (bool(words & set(W["scene"][asked])) and {job, thing} <= words) == (row["label"] == 0)


def test_right_options_are_those_of_the_lexicon():
    creatures = {c: (food, gift) for c, food, _, gift in W["nature"]["creature"]}
    roles, used, makes = dict(W["cause"]["role"]), dict(W["nature"]["used"]), dict(W["nature"]["makes"])
    for row in embedded.raw("commonsense_qa", "train"):
        right, question = row["choices"]["text"]["ABCDE".index(row["answerKey"])], row["question"]
        act, kind, gift, use = re.search(
            r"who (.+)\. Who may|looks for an? (.+) in \w+\. What will|would give \w+ (.+)\?|works at (.+)\. What is",
            question).groups()
        assert not act or roles[right] == act
        assert not kind or right in W["kinds"][kind]
        assert not gift or creatures[right][1] == gift
        assert not use or used[right] == use
    for row in embedded.raw("sciq", "train"):
        c, made = re.search(r"buy for (.+)\?|need for (.+)\?", row["question"]).groups()
        assert row["correct_answer"] == creatures[c][0] if c else makes[row["correct_answer"]] == made
    for row in embedded.raw("wino_grande", "train"):
        right, text = row["option" + row["answer"]], row["sentence"]
        if told := re.fullmatch(r"(\w+) (\w+) the \w+ that (\w+) (\w+) .*\. The one who (\w+) it was _\.", text):
            one, did, two, undid, asked = told.groups()
            assert right == {did: one, undid: two}[asked]
        else:
            assert right not in re.search(r"Unlike (\w+),|but (\w+) did not", text).groups()
    places = set()
    for row in embedded.raw("cos_e", "train"):
        why = row["abstractive_explanation"]
        right, = (o for o in row["choices"] if re.match(rf"({o} helps|an? {o}|people call an? {o} an?) ", why))
        places.add(row["choices"].index(right))
    assert places == set(range(5))


def test_a_sentence_without_its_noun_has_the_same_words():
    for row in embedded.raw("blimp-ellipsis_n_bar_1", "train"):
        good, bad = (row[f"sentence_{side}"].rstrip(".").split() for side in ("good", "bad"))
        assert Counter(good) == Counter(bad)
        assert good[-1] in W["scene"]["number"]
        assert bad[-1] in W["scene"]["color"]


# ---- nothing of it in pre-training, and little that the backbone has never read


@pytest.fixture(scope="module")
def asked():
    rng = random.Random("more leaks")
    return [skills.skill(rng, name) for name in skills.SKILLS for _ in range(800)]


@pytest.fixture(scope="module")
def read(asked) -> str:
    rng = random.Random("more texts")
    return " ".join([question for _, question, _ in asked] + [corpus.text(rng) for _ in range(2000)])


def test_no_skill_is_answered_as_a_task_is(asked):
    """The one exception is yes and no, the answers of boolq, a training task. No other task has these answers."""
    said = {answer.strip().rstrip(".") for _, _, answer in asked}
    labels = {word for name in NAMES for word in tasks.get(name).labels or []}
    assert said & labels == {"yes", "no"}
    assert not {n for n in NAMES if {"yes", "no"} & set(tasks.get(n).labels or [])} - {"boolq"}
    # the answer of "sense" may be an animal's name; an option alone needs the cue
    said = {answer.strip().rstrip(".") for name, question, answer in asked
            if name != "sense" and "just that!" not in question}
    for name in ("commonsense_qa", "sciq", "quarel", "wino_grande", "eli5-eli5", "eli5-askh", "eli5-asks", "cos_e",
                 "xsum"):
        assert not said & {targets[0].rstrip(".") for _, targets in tasks.rows(name, "train", "embedded")}


def test_no_row_occurs_in_pretraining(read):
    for name in NAMES:
        for text, targets in tasks.rows(name, "test", "embedded")[:40]:
            pieces = [p.strip() for p in re.split(r"\[SEP\]|\([A-H]\)|context:|[.?!]", text + " [SEP] " + targets[0])]
            assert not [p for p in pieces if len(p.split()) > 5 and p in read], f"{name}: {text}"


def test_most_words_are_known_to_the_backbone(read):
    known = {w.lower() for w in re.findall(r"[A-Za-z]+", read + " " + " ".join(corpus.WORDS))}
    for name in NAMES:
        words = [w.lower() for text, _ in tasks.rows(name, "validation", "embedded")
                 for w in re.findall(r"[A-Za-z]+", text)]
        share = sum(w in known for w in words) / len(words)
        assert share > 0.8, f"{name}: {share:.2f}"
