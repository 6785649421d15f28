"""The table of tasks, the formats (on rows of our own making), the sources, the parts, the mirror and its faults."""
import collections

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from unidelta import backbone, data, suite, tasks
from unidelta.sources import embedded, formats, mirror, registry

ABC = {"text": ["x", "y"], "label": ["A", "B"]}
# task, a row in the hub's columns, the input and the targets that CrossFit makes of it (None: CrossFit drops the row)
CASES = [
    ("amazon_polarity", {"title": "T", "content": "C.", "label": 0}, "title: T [SEP] content: C.", ["negative"]),
    ("financial_phrasebank", {"sentence": "S .", "label": 1}, "S .", ["neutral"]),
    ("imdb", {"text": " a<br />\n b\\nc\t d ", "label": 1}, "a<br /> b c d", ["positive"]),
    ("emotion", {"text": " i feel ", "label": 5}, "i feel", ["surprise"]),
    ("tweet_eval-offensive", {"text": "@user \n no  😀", "label": 0}, "@user no 😀", ["non-offensive"]),
    ("tweet_eval-offensive", {"text": " \n ", "label": 0}, None, None),
    ("tweet_eval-stance_climate", {"text": "x", "label": 2}, "x", ["favor"]),
    ("ethos-directed_vs_generalized", {"text": " x ", "directed_vs_generalized": 0}, "x", ["generalied"]),
    ("hatexplain", {"annotators": {"label": [2, 0, 2]}, "post_tokens": ["a", "b"]}, "a b", ["offensive"]),
    ("hatexplain", {"annotators": {"label": [2, 0, 1]}, "post_tokens": ["a", "b"]}, None, None),
    ("glue-mnli", {"premise": "P", "hypothesis": "H", "label": 2}, "premise: P [SEP] hypothesis: H", ["contradiction"]),
    ("glue-qnli", {"question": "Q", "sentence": "S", "label": 1}, "question: Q [SEP] sentence: S", ["not_entailment"]),
    ("glue-wnli", {"sentence1": "A", "sentence2": "B", "label": 0},
     "sentence 1: A [SEP] sentence 2: B", ["not_entailment"]),
    ("superglue-rte", {"premise": "P\nq", "hypothesis": "H", "label": 0},
     "premise: P q [SEP] hypothesis: H", ["entailment"]),
    ("health_fact", {"claim": " a\n\r\tb ", "label": 3}, "a   b", ["unproven"]),
    ("health_fact", {"claim": "a", "label": -1}, None, None),
    ("liar", {"statement": "S\tt", "speaker": "p", "context": "", "label": 4},
     "statement: S t [SEP] speaker: p [SEP] context: ",
     ["barely-true"]),
    ("glue-qqp", {"question1": "A?", "question2": "B?", "label": 1},
     "question 1: A? [SEP] question 2: B?", ["duplicate"]),
    ("medical_questions_pairs", {"question_1": "A?", "question_2": "B?", "label": 0},
     "question 1: A? [SEP] question 2: B?",
     ["Similar"]),
    ("paws", {"sentence1": "A", "sentence2": "B", "label": 1}, "sentence 1: A [SEP] sentence 2: B", ["1"]),
    ("circa", {"context": "C.", "question-X": "x?", "answer-Y": "y.", "goldstandard2": 2},
     "context: C. [SEP] question X: x? [SEP] answer Y: y.", ["In the middle, neither yes nor no"]),
    ("circa", {"context": "C.", "question-X": "x?", "answer-Y": "y.", "goldstandard2": -1}, None, None),
    ("onestop_english", {"text": "Intermediate \nTo\nday", "label": 2}, "To day", ["advance"]),
    ("trec-finegrained", {"text": "Why ?", "fine_label": 31}, "Why ?", ["desc"]),
    ("wiki_auto", {"normal_sentence": "N", "simple_sentence": "S", "alignment_label": 0},
     "normal sentence: N [SEP] simple_sentence: S", ["notAligned"]),
    ("google_wellformed_query", {"content": " q ", "rating": 0.8}, "q", ["well-formed"]),
    ("google_wellformed_query", {"content": " q ", "rating": 0.6}, None, None),
    ("sms_spam", {"sms": "Hi\n", "label": 1}, "Hi", ["spam"]),
    ("lama-google_re", {"template": "[X] was born in [Y] .", "sub_label": "Ann", "obj_label": "1900"},
     "Ann was born in [MASK] .",
     ["1900"]),
    ("numer_sense", {"sentence": "a dog has <mask> legs.", "target": "four"}, "a dog has [MASK] legs.", ["four"]),
    ("search_qa", {"question": "q", "category": "C", "answer": "a"}, "question: qcategory: C", ["a"]),
    ("web_questions", {"question": "q?", "answers": ["a", "b c"]}, "q?", ["a", "b c"]),
    ("boolq", {"question": "q", "passage": "p", "answer": True}, "question: q [SEP] context: p", ["yes"]),
    ("codah", {"question_propmt": "P", "candidate_answers": ["x", "y", "z", "w"], "correct_answer_idx": 3},
     "P (A) x (B) y (C) z (D) w", ["w"]),
    ("commonsense_qa", {"question": "q \n r", "choices": ABC, "answerKey": "B"}, "q r (A) x (B) y", ["y"]),
    ("cosmos_qa", {"question": "q", "context": "c\nd", "answer0": "x", "answer1": "y", "answer2": "z", "answer3": "w",
                   "label": 1},
     "q [SEP] c\nd [SEP]  (A) x (B) y (C) z (D) w", ["y"]),
    ("dream", {"dialogue": ["M: a", "W: b"], "question": "q", "choice": ["x", "y", "z"], "answer": "z"},
     "q [SEP] M: a W: b [SEP]  (A) x (B) y (C) z", ["z"]),
    ("hellaswag", {"ctx": "c", "endings": ["x", "y"], "label": "1"}, "c (A) x (B) y", ["y"]),
    ("hellaswag", {"ctx": "c", "endings": ["x", "y"], "label": ""}, None, None),
    ("sciq", {"question": "q", "support": "s\nt", "distractor1": "1", "distractor2": "2", "distractor3": "3",
              "correct_answer": "4"},
     "q (A) 2 (B) 4 (C) 1 (D) 3 [SEP] s t", ["4"]),  # NumPy's legacy shuffle of four, seed 42
    ("sciq", {"question": "q", "support": "", "distractor1": "1", "distractor2": "2", "distractor3": "3",
              "correct_answer": "4"},
     None, None),
    ("quail", {"question": "q", "context": "c\nd", "answers": ["x", "y"], "correct_answer_id": 0},
     "q(A)x(B)y [SEP] c d", ["x"]),
    ("quarel", {"question": "q? (A) red or (B) blue", "answer_index": 0}, "q? (A) red or (B) blue", ["red"]),
    ("quarel", {"question": "q? (A) red or (B) blue", "answer_index": 1}, "q? (A) red or (B) blue", ["blue"]),
    ("race-high", {"question": "q_\n", "article": "a\r\nb\tc", "options": ["x\n", "y"], "answer": "A"},
     "q_  (A) x  (B) y [SEP] a  b c", ["x "]),
    ("superglue-copa", {"premise": "P.", "choice1": "x", "choice2": "y", "question": "cause", "label": 1},
     "P. (A) x (B) y", ["y"]),
    ("wino_grande", {"sentence": "s _", "option1": "x", "option2": "y", "answer": "2"}, "s _ (A) x (B) y", ["y"]),
    ("wino_grande", {"sentence": "s _", "option1": "x", "option2": "y", "answer": ""}, None, None),
    ("eli5-asks", {"title": "t\n?", "selftext": "", "answers": {"text": ["a\n b", "c"]}}, "t ? [SEP]", ["a b", "c"]),
    ("hotpot_qa", {"question": "q", "answer": "a", "supporting_facts": {"title": ["Z", "X"], "sent_id": [0, 0]},
                   "context": {"title": ["X", "Y", "Z"], "sentences": [["1.", " 2."], ["3."], ["4. "]]}},
     "question: q context: 1. 2. 4.", ["a"]),
    ("quoref", {"question": "q", "context": "c\nd", "answers": {"text": ["a", "b"]}},
     "question: q context: c d", ["a", "b"]),
    ("superglue-record", {"query": "q @placeholder", "passage": "p\n@highlight\nh", "answers": ["a", "b"]},
     "question: q @placeholder context: p @highlight h", ["a"]),
    ("multi_news", {"document": "d\ne ||||| f", "summary": "s\nt"}, "summarize: d e ||||| f", ["s t"]),
    ("xsum", {"document": "d\ne", "summary": "s."}, "summarize: d e", ["s."]),
    ("spider", {"question": "q  r", "query": "SELECT\t1"}, "q r", ["SELECT 1"]),
    ("wikisql", {"question": " q ", "sql": {"human_readable": " SELECT x "}}, "q", ["SELECT x"]),
    ("blimp-ellipsis_n_bar_1", {"sentence_good": "G", "sentence_bad": "B"},
     "sentence 1: B [SEP] sentence 2: G", ["sentence 2"]),
    ("cos_e", {"question": "q ", "choices": ["x", "y"], "abstractive_explanation": "e"}, "q (A) x (B) y", ["e"]),
    ("acronym_identification", {"tokens": ["The", "big", "red", "BR", "x", "."], "labels": [4, 0, 2, 1, 3, 4]},
     "The big red BR x . [SEP] acronym: BR x", ["big red"]),
    ("acronym_identification", {"tokens": ["The", "BR"], "labels": [4, 1]}, None, None),
    ("ade_corpus_v2-dosage", {"text": "t", "drug": "d", "dosage": "5 mg"}, "t [SEP] d", ["5 mg"]),
    ("crawl_domain", {"example": "My Home Page"}, "myhomepage", ["My Home Page"]),
    ("proto_qa", {"normalized-question": "q", "answer-clusters": {"answers": [["a"], ["b", "c"]]}},
     "q", ["a", "b", "c"]),
    ("qa_srl", {"question": ["who", "_", "?"], "sentence": "s .", "answers": ["a", "b"]},
     "question: who _ ? context: s .",
     ["a", "b"]),
    ("yelp_polarity", {"text": "a\\nb\nc", "label": 1}, "a b\nc", ["positive"]),
    ("superglue-wsc", {"text": "t", "span1_text": "a", "span2_text": "b", "label": 1},
     "text: t [SEP] span1_texta [SEP] span2_text: b", ["true"]),
    ("ai2_arc", {"question": "q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"},
     "q (1) x (2) y", ["y"]),
    ("scitail", {"sentence1": "A", "sentence2": "B", "gold_label": "neutral"},
     "sentence 1: A [SEP] sentence 2: B", ["neutral"]),
    ("superglue-wic", {"word": "w", "sentence1": "A", "sentence2": "B", "label": 0},
     "word: w [SEP] sentence 1: A [SEP] sentence 2: B", ["false"]),
]


@pytest.mark.parametrize("name, row, text, targets", CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_a_row_reads_as_in_crossfit(name, row, text, targets):
    found = list(formats.format_rows(tasks.get(name), [row], "here"))
    assert found == ([] if text is None else [(text, targets)])


def test_options_inside_a_question():
    assert formats.inline("q? (A) red or (B) blue") == ["red", "blue"]
    assert formats.inline("q? (A) floor (B) bed") == ["flo", "bed"], "as CrossFit has it"


def test_the_table_holds_the_papers_tasks_and_roles():
    assert len(tasks.names()) == len(set(tasks.names())) == 72
    assert len(tasks.names("multi", "train")) == 60
    assert len(tasks.names("multi", "unseen")) == 9
    single = {t.category: set() for t in tasks.TASKS.values() if t.single}
    for task in tasks.TASKS.values():
        if task.single:
            single[task.category].add(task.name if task.single == "unseen" else task.name.upper())
    assert single == {
        "SA": {"GLUE-SST2", "rotten_tomatoes", "amazon_polarity"}, "NLI": {"GLUE-MNLI", "scitail", "superglue-rte"},
        "TC": {"SUPERGLUE-WIC", "superglue-wsc"}, "PD": {"GLUE-QQP", "glue-mrpc"},
        "LF-QA": {"ELI5-ELI5", "eli5-asks", "eli5-askh"},
        "MC-QA": {"DREAM", "codah", "quartz-no_knowledge", "superglue-copa"},
    }
    metrics = collections.Counter(task.metric for task in tasks.TASKS.values())
    assert metrics == {"ACC": 30, "F1": 22, "EM": 11, "ROUGE-L": 6, "QA-F1": 3}


def test_every_row_of_the_table_is_well_formed():
    for task in tasks.TASKS.values():
        assert task.hub.count("/") == 1
        assert task.config
        assert task.citation
        assert "train" in task.splits
        assert task.test in ("test", "validation", "cut")
        assert (task.test == "cut" or task.test in task.splits)
        assert task.shape in {"", *formats.FLAGS, *formats.SHAPES}
        assert (task.target.split()[0] in ("label", "word")) == bool(task.labels)
        assert ("{options}" in task.input) == bool(task.options)
        assert formats.columns(task)


def test_an_unknown_name_split_or_source_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^no task 'sst2'; the nearest of the 72 names: .*glue-sst2.*$"):
        tasks.get("sst2")
    with pytest.raises(ValueError, match=r"^task glue-sst2 has no split 'dev'; allowed: train, validation, test$"):
        mirror.physical(tasks.get("glue-sst2"), "dev")
    with pytest.raises(ValueError, match=r"^no source 'web'; allowed: hub, mirror, embedded$"):
        tasks.rows("glue-sst2", "train", source="web")
    with pytest.raises(ValueError, match="no tasks for setting 'many'"):
        tasks.names("many")
    for said, right in (("positive", ["positive"]), (["positive"], "positive")):
        with pytest.raises(ValueError, match="not a text"):
            tasks.score("glue-sst2", said, right)
    assert mirror.physical(tasks.get("glue-mnli"), "validation") == ("validation_matched",)


# --- mirrors of our own ----------------------------------------------------------------------------------------------
def put(folder, name, split, rows):
    task = tasks.get(name)
    file = mirror.location(folder, task.hub, task.config, split)
    file.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file


def films(n, start=0):
    return [{"sentence": f"film {i}", "label": i % 2, "idx": i} for i in range(start, start + n)]


@pytest.mark.parametrize("rows, message", [
    ([{"sentence": "x", "idx": 0}], r"train.parquet: column 'label' is missing; .* the file has sentence, idx"),
    ([{"sentence": "x", "label": 0}, {"sentence": "y", "label": 7}],
     r"train.parquet: row 1, column 'label' label 7 is out of range: there are 2 \(negative, positive\)"),
    ([{"sentence": "x", "label": "0"}], r"train.parquet: row 0, column 'label' should be int, is str \('0'\)"),
    ([{"sentence": "x", "label": 0}, {"sentence": None, "label": 0}], r"row 1, column 'sentence' should be str or "),
    ([], r"train.parquet: (no rows|column 'sentence' is missing)"),
    ([{"sentence": "x", "label": -1}], r"train.parquet: no row of task glue-sst2 has a gold label"),
])
def test_faulty_data_are_named_by_file_row_and_column(tmp_path, rows, message):
    put(tmp_path, "glue-sst2", "train", rows)
    with pytest.raises(ValueError, match=message) as caught:
        tasks.rows("glue-sst2", "train", mirror=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_split_without_rows_and_a_truncated_file_are_refused(tmp_path):
    file = put(tmp_path, "glue-sst2", "train", films(100))
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(file).slice(0, 0), file)
    with pytest.raises(ValueError, match="train.parquet: no rows$"):
        tasks.rows("glue-sst2", "train", mirror=tmp_path)
    file = put(tmp_path, "glue-sst2", "train", films(100))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match="train.parquet: not a readable parquet file"):
        tasks.rows("glue-sst2", "train", mirror=tmp_path)
    assert mirror.main(["check", "--mirror", str(tmp_path), "--task", "glue-sst2"]) == 1


def test_an_option_that_does_not_exist_is_named(tmp_path):
    put(tmp_path, "qasc", "train", [{"question": "q", "choices": ABC, "answerKey": "C"}])
    with pytest.raises(ValueError, match=r"row 0, column 'answerKey' answer 'C' is none of the options A, B"):
        tasks.rows("qasc", "train", mirror=tmp_path)


def test_a_mirror_must_be_named_and_exist(tmp_path, monkeypatch):
    monkeypatch.delenv("UNIDELTA_MIRROR", raising=False)
    with pytest.raises(ValueError, match='source "mirror" needs a folder: .*UNIDELTA_MIRROR'):
        tasks.rows("glue-sst2", "train")
    with pytest.raises(ValueError, match="is not a folder"):
        tasks.rows("glue-sst2", "train", mirror=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="glue-sst2, split train: the mirror has no file .*--glue/sst2/train.parquet"):
        tasks.rows("glue-sst2", "train", mirror=tmp_path)
    put(tmp_path, "glue-sst2", "train", films(3)).parent.rename(tmp_path / "nyu-mll--glue" / "default")
    monkeypatch.setenv("UNIDELTA_MIRROR", str(tmp_path))
    assert tasks.rows("glue-sst2", "train")[1] == ("sentence: film 1", ["positive"])


def test_another_mirror_in_the_environment_has_other_rows(tmp_path, monkeypatch, tiny_t5):
    loaded = backbone.load(tiny_t5, device="cpu")
    found = []
    for name, rows in (("one", 30), ("other", 60)):
        put(tmp_path / name, "glue-sst2", "train", films(rows))
        put(tmp_path / name, "glue-sst2", "validation", films(9, start=100))
        monkeypatch.setenv("UNIDELTA_MIRROR", str(tmp_path / name))
        found.append(data.load(loaded, "glue-sst2", "mirror", None, 0, {}, 64, tmp_path / "store"))
    assert len(found[0].train) < len(found[1].train)
    assert found[0].fingerprint != found[1].fingerprint


def parts(found):
    return {part: found[part]["input"] for part in found}


def test_empty_answers_are_hidden_labels(tmp_path):
    put(tmp_path, "numer_sense", "test_all", [{"sentence": "a dog has <mask> legs .", "target": ""}] * 3)
    with pytest.raises(ValueError, match="no row of task numer_sense has a gold label"):
        tasks.rows("numer_sense", "test_all", mirror=tmp_path)


def test_parts_where_the_hub_hides_the_test_labels(tmp_path):
    put(tmp_path, "glue-sst2", "train", films(200) + films(5, start=900))  # the last five are validation rows too
    put(tmp_path, "glue-sst2", "validation", films(50, start=900))
    put(tmp_path, "glue-sst2", "test", [{"sentence": "hidden", "label": -1, "idx": 0}])
    found = parts(tasks.load("glue-sst2", mirror=tmp_path, seed=1))
    assert found["test"] == [f"sentence: film {i}" for i in range(900, 950)]
    assert len(found["dev"]) == 20
    assert len(found["train"]) == 180
    assert set(found["train"]) | set(found["dev"]) == {f"sentence: film {i}" for i in range(200)}
    assert parts(tasks.load("glue-sst2", mirror=tmp_path, seed=1)) == found
    other = parts(tasks.load("glue-sst2", mirror=tmp_path, seed=2))
    assert other["dev"] != found["dev"]
    assert other["test"] == found["test"]


def test_parts_where_the_test_is_public_and_where_there_is_train_only(tmp_path):
    texts = [{"text": f"text {i}", "label": i % 2} for i in range(100)]
    for split, piece in (("train", texts[:60]), ("validation", texts[60:80]), ("test", texts[80:])):
        put(tmp_path, "rotten_tomatoes", split, piece)
    found = parts(tasks.load("rotten_tomatoes", mirror=tmp_path))
    assert [len(found[p]) for p in ("train", "dev", "test")] == [60, 20, 20]
    assert found["test"][0] == "text 80"
    pairs = [{"sentence_good": f"good {i}", "sentence_bad": f"bad {i}"} for i in range(100)]
    put(tmp_path, "blimp-ellipsis_n_bar_1", "train", pairs)
    found = parts(tasks.load("blimp-ellipsis_n_bar_1", mirror=tmp_path))
    cut = tasks.crossfit_cut(tasks.rows("blimp-ellipsis_n_bar_1", "train", mirror=tmp_path))
    assert found["test"] == [text for text, _ in cut[1]]
    assert [len(found[p]) for p in ("train", "dev")] == [72, 8]


def test_rows_that_stand_in_for_the_training_rows_are_not_development_rows_too(tmp_path):
    """The only task whose training rows may be the source's validation rows, where a copy of it has no others."""
    for split, start in (("validation", 0), ("test", 900)):
        put(tmp_path, "qa_srl", split, [{"question": ["who"], "sentence": f"text {i}", "answers": [f"answer {i}"]}
                                        for i in range(start, start + 40)])
    found = parts(tasks.load("qa_srl", mirror=tmp_path))
    assert [len(found[part]) for part in ("train", "dev", "test")] == [36, 4, 40]
    assert len({*found["train"], *found["dev"]}) == 40
    assert all("text 9" in text for text in found["test"])


def test_caps_keep_random_samples_and_bad_ones_are_refused(tmp_path):
    put(tmp_path, "glue-sst2", "train", films(500))
    put(tmp_path, "glue-sst2", "validation", films(50, start=900))
    caps = {"train": 30, "dev": 10, "test": 7}
    one, two = (tasks.load("glue-sst2", mirror=tmp_path, seed=s, caps=caps) for s in (1, 2))
    assert {p: len(one[p]) for p in one} == caps
    assert one["train"]["input"] != two["train"]["input"]
    assert one["test"]["input"] == two["test"]["input"] != [f"sentence: film {i}" for i in range(900, 907)]
    for bad in ({"train": 0}, {"valid": 3}, {"dev": "all"}):
        with pytest.raises(ValueError, match="bad cap .*allowed: train, dev, test"):
            tasks.load("glue-sst2", mirror=tmp_path, caps=bad)


def test_spare_rows_of_dev_stand_in_for_test():
    caps = {"train": None, "dev": 100, "test": None}
    usual, spare = (tasks.load("scitail", source="embedded", caps=caps, report_on=on) for on in ("test", "spare"))
    assert usual["dev"][:] == spare["dev"][:]
    assert usual["train"][:] == spare["train"][:]
    whole = tasks.load("scitail", source="embedded")["dev"]["input"]
    assert len(spare["test"]) == 150
    assert {*spare["test"]["input"]} == {*whole} - {*spare["dev"]["input"]}
    assert not {*usual["test"]["input"]} & {*spare["test"]["input"]}
    with pytest.raises(ValueError, match="scitail: no rows of dev are spare; allowed: a cap below its 250"):
        tasks.load("scitail", source="embedded", report_on="spare")
    with pytest.raises(ValueError, match="cannot report on 'train'; allowed: test, spare"):
        tasks.load("scitail", source="embedded", report_on="train")


def test_a_row_that_dev_holds_twice_is_not_spare(monkeypatch):
    plain = tasks.rows
    monkeypatch.setattr(tasks, "rows", lambda name, split, *rest: (
        plain(name, split, *rest) * (2 if split == "validation" else 1)))
    spare = tasks.load("scitail", source="embedded", caps={"train": None, "dev": 100, "test": None}, report_on="spare")
    assert not {*spare["dev"]["input"]} & {*spare["test"]["input"]}
    assert len({*spare["dev"]["input"]}) < 100


def test_rows_without_an_answer_are_dropped_and_white_space_is_stripped(tmp_path):
    rows = [{"question": f" q{i}? ", "answers": [" a ", ""] if i else [" "]} for i in range(30)]
    put(tmp_path, "web_questions", "train", rows)
    put(tmp_path, "web_questions", "test", [{"question": "t", "answers": ["a"]}])
    found = tasks.load("web_questions", mirror=tmp_path)
    assert len(found["train"]) + len(found["dev"]) == 29
    assert found["train"][0]["targets"] == ["a"]
    assert found["train"][0]["input"].startswith("q")
    assert found["train"].features["targets"] == datasets.List(datasets.Value("string"))


# --- hub and stand-ins -----------------------------------------------------------------------------------------------
def test_the_hub_is_read_by_id_and_through_its_parquet_copy_of_scripts(monkeypatch):
    calls = []

    def load_dataset(*args, **kwargs):
        calls.append((args, kwargs))
        if args[0] == "ucsbnlp/liar":
            raise RuntimeError("Dataset scripts are no longer supported, but found liar.py")
        row = {"sentence": "x", "statement": "s", "speaker": "p", "context": "c", "label": 1}
        return datasets.Dataset.from_list([row]).cast_column("label", datasets.ClassLabel(names=["a", "b"]))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert tasks.rows("glue-sst2", "validation", source="hub") == [("sentence: x", ["positive"])]
    assert tasks.rows("liar", "train", source="hub")[0][1] == ["half-true"]
    assert calls[0] == (("nyu-mll/glue", "sst2"), {"split": "validation"})
    copy = "hf://datasets/ucsbnlp/liar@~parquet/default/train/*.parquet"
    assert calls[2] == (("parquet",), {"data_files": copy, "split": "train"})


def test_a_mirror_is_built_resumed_and_checked(tmp_path, monkeypatch, capsys):
    asked = []

    def load_dataset(hub, config, split):
        asked.append(split)
        return datasets.Dataset.from_list(films(10) if split != "test" else [{"sentence": "x", "label": -1, "idx": 0}])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    build = ["build", "--out", str(tmp_path), "--task", "glue-sst2"]
    assert mirror.main(build) == 0
    assert asked == ["train", "validation", "test"]
    assert mirror.main(build) == 0
    assert len(asked) == 3
    file = mirror.path(tasks.get("glue-sst2"), "train", tmp_path)
    file.write_bytes(file.read_bytes()[:-9])
    check = ["check", "--mirror", str(tmp_path), "--task", "glue-sst2"]
    assert mirror.main(check) == 1
    assert "checksum differs" in capsys.readouterr().out
    assert mirror.main(build) == 0
    assert asked[3:] == ["train"]
    assert mirror.main(check) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == ["glue-sst2\ttrain\t10 rows", "glue-sst2\tvalidation\t10 rows",
                                                         "glue-sst2\ttest\tlabels hidden"]
    assert mirror.main(["check", "--mirror", str(tmp_path), "--task", "sst"]) == 1
    assert "no task 'sst'" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.partial"))


def test_a_manifest_must_name_its_files(tmp_path, capsys):
    (tmp_path / "MANIFEST.tsv").write_text("config\tsplit\nx\ttrain\n")
    assert mirror.main(["check", "--mirror", str(tmp_path)]) == 1
    assert capsys.readouterr().err.strip().endswith(
        "MANIFEST.tsv: no column 'hub_id'; needed are hub_id, config, split")


def test_a_manifest_of_other_columns_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda hub, config, split: datasets.Dataset.from_list(films(10)))
    others = [["nyu-mll/glue", "sst2", "train", 'from "GLUE"'], ["a/b", "default", "test", "not ours"]]
    (tmp_path / "MANIFEST.tsv").write_text("\n".join(
        "\t".join(line) for line in [["hub_id", "config", "split", "note"], *others]) + "\n")
    mirror.build(tmp_path, ["glue-sst2"])
    found = mirror.manifest(tmp_path)
    assert [row["note"] for row in found.values()] == ['from "GLUE"', "not ours", "", ""]
    assert [row["rows"] for row in found.values()] == ["10", "", "10", "10"]
    assert found["nyu-mll/glue", "sst2", "train"]["sha256"]


def test_stand_ins_go_through_the_same_formats():
    for name in embedded.names():
        task, found = tasks.get(name), tasks.rows(name, "validation", source="embedded", seed=3)
        assert found == tasks.rows(name, "validation", source="embedded", seed=3)
        assert not task.labels or {t[0] for _, t in found} == set(task.labels)
    found = parts(tasks.load(embedded.names()[0], source="embedded", caps={"train": 50}))
    assert len(found["train"]) == 50
    assert not set(found["train"]) & set(found["test"])
    assert found["dev"]


def test_real_data_load_with_disjoint_parts(mirror):
    for name in ("dream", "scitail", "ethos-gender", "qasc", "amazon_polarity", "qa_srl", "eli5-eli5", "search_qa"):
        found = tasks.load(name, mirror=mirror, caps={"train": 100, "dev": 50, "test": 100})
        texts = {part: {t.strip() for t in found[part]["input"]} for part in found}
        assert not texts["train"] & texts["dev"] | texts["train"] & texts["test"] | texts["dev"] & texts["test"]
        assert all(len(found[p]) and all(t and all(t) for t in found[p]["targets"]) for p in found)
        words = registry.get(name).labels
        assert not words or {t[0] for p in found for t in found[p]["targets"]} <= set(words)


def test_what_several_parts_hold_stays_in_one(tmp_path):
    """A row of test leaves dev and train, one of dev leaves train, and so does a spare one of dev."""
    def texts(*numbers):
        return [{"text": f"text {i}", "label": i % 2} for i in numbers]
    for split, rows in (("train", texts(*range(40), 50, 51, 52, 53, 80)), ("validation", texts(50, 51, 52, 53, 81)),
                        ("test", texts(80, 81))):
        put(tmp_path, "rotten_tomatoes", split, rows)
    found = parts(tasks.load("rotten_tomatoes", mirror=tmp_path))
    assert {*found["dev"]} == {f"text {i}" for i in range(50, 54)}
    assert {*found["train"]} == {f"text {i}" for i in range(40)}
    spare = parts(tasks.load("rotten_tomatoes", mirror=tmp_path, caps={"dev": 2}, report_on="spare"))
    assert len(spare["test"]) == 2
    assert {*spare["train"]} == {f"text {i}" for i in range(40)}


def test_white_space_at_its_end_makes_no_row_another():
    assert tasks._without([("a ", ["x"]), ("b", ["x"])], [("a", ["y"]), ("b\n", ["y"])]) == []


def test_a_large_train_leaves_a_thousand_rows_for_dev(tmp_path):
    put(tmp_path, "glue-sst2", "train", films(12_345))
    put(tmp_path, "glue-sst2", "validation", films(5, start=20_000))
    found = tasks.load("glue-sst2", mirror=tmp_path)
    assert (len(found["dev"]), len(found["train"])) == (1000, 11_345), "and every row is read"


def test_the_configuration_of_a_task_comes_before_a_default_one(tmp_path):
    file = put(tmp_path, "glue-sst2", "train", films(3))
    other = put(tmp_path / "other", "glue-sst2", "train", films(3, start=7))
    (tmp_path / "nyu-mll--glue" / "default").mkdir()
    other.rename(tmp_path / "nyu-mll--glue" / "default" / "train.parquet")
    assert mirror.path(tasks.get("glue-sst2"), "train", tmp_path) == file


def test_which_tasks_share_label_words():
    assert suite.shares_labels("scitail"), "as all its words are those of glue-mnli"
    assert not suite.shares_labels("superglue-rte"), "one of two is another"
    assert not suite.is_text("qasc")
    assert suite.is_text("eli5-asks")
    assert not set(suite.LONG_UNSEEN) & set(suite.multi()[1])
    assert suite.LONG_TRAIN in suite.single("hub")


def test_rows_at_the_boundaries_of_a_shape():
    query = tasks.get("google_wellformed_query")
    for rating in (0.4, 0.5, 0.6):
        assert list(formats.format_rows(query, [{"content": "q", "rating": rating}], "here")) == []
    short = tasks.get("acronym_identification")
    twice = {"tokens": ["a", "b", "BR"], "labels": [0, 0, 1]}
    assert list(formats.format_rows(short, [twice], "here")) == []
