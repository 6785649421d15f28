"""The chapter on the data: the paper's lists, the record of what can be had, and tasks of one's own."""

import os
import re
import subprocess
import sys

import pyarrow
import pyarrow.parquet
import pytest

from unidelta import data, tasks
from unidelta.params import ParameterError
from unidelta.report import availability, catalogue, figures
from unidelta.sources import embedded, formats, mirror, own

# tasks whose reference in the paper is not the work that their data come from
OTHERS = {"glue-wnli", "dream"}


def cells(table, column: int) -> list[str]:
    rows = re.findall(r"<tr>(.*?)</tr>", table.data.split("<tbody>")[1], re.DOTALL)
    return [re.findall(r"<td>(.*?)</td>", row, re.DOTALL)[column] for row in rows]


@pytest.mark.parametrize("n", [12, 13])
def test_the_lists_are_the_papers_with_its_references(n, shared):
    text = (shared / "paper" / "paper.txt").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    part = text.split(f"Table {n}: The ")[1].split("Table 13: The ")[0] \
        .replace("Training tasks amazon review", "amazon_polarity").replace("Test tasks ", "")
    listed, works = cells(catalogue.published(n), 1), catalogue.bibliography()
    assert len(listed) == {12: 60, 13: 9}[n]
    assert (n == 13 or listed[-1] == "ade_corpus_v2-dosage" and "ade_corpus" not in part)
    places = [re.search(rf"^{re.escape(name)}\b", part, re.MULTILINE).start()
              for name in listed if name != "ade_corpus_v2-dosage"]
    assert places == sorted(places), "in the paper's order"
    for name, start, end in zip(listed, places, [*places[1:], len(part)], strict=False):
        # the conversion of the page lost the name
        said = part[start:end].replace("wikisql an 2017", "wikisql Zhong et al. 2017")
        for key in () if name in OTHERS | {"glue-qqp"} else tasks.get(name).citation:
            first = works[key].persons["author"][0]
            assert catalogue._plain(" ".join(first.prelast_names + first.last_names)) in said, f"{name}: {said}"
            assert works[key].fields["year"] in said, f"{name}: {said}"


def test_references_are_short_and_in_full():
    works = catalogue.bibliography()
    assert [catalogue.short(works[key])
            for key in ("mcauley2013", "wang2017", "tafjord2019b", "vajjala2018", "zellers2019")] == [
        "McAuley and Leskovec (2013)", "Wang (2017)", "Tafjord et al. (2019b)", "Vajjala and Lučić (2018)",
        "Zellers et al. (2019)"]
    assert "<li>McAuley and Leskovec (2013). Hidden Factors" in catalogue.works(["amazon_polarity"]).data


def test_one_format_per_category_and_figures_of_what_is_shown():
    names = catalogue.offered("embedded")
    assert set(names) == set(embedded.names())
    shown = cells(catalogue.formats_shown(names, "embedded", None), 0)
    assert len(shown) == len({tasks.category(n) for n in names})
    some = ["glue-sst2", "emotion", "dream"]
    rows = catalogue.measured(some, "embedded", None)
    assert rows.groupby("task").size().to_dict() == dict.fromkeys(some, 1000)
    assert (rows.words > 3).all()
    assert len(figures.lengths(rows).axes[0].get_yticks()) == 3
    assert len(figures.label_shares(rows).axes[0].get_yticks()) == 2


def test_the_record_covers_every_split_and_holds_no_row():
    by_task, parts, about = availability.stored()
    assert list(by_task) == list(parts) == [n for n in tasks.names() if n not in own.ADDED]
    for name, lines in by_task.items():
        assert [line["split"] for line in lines] == list(tasks.get(name).splits)
        assert all(bool(line["file"]) == bool(line["sha256"])
                   and int(line["labelled"] or 0) <= int(line["rows"] or 0) for line in lines)
        assert bool(parts[name]["fault"]) != bool(parts[name]["train"])
    assert set(about["md5"]) <= set(by_task)
    assert about["versions"]["datasets"]
    assert len(cells(catalogue.available(), 0)) == 72
    assert "56 load" in catalogue.summary().data
    evidence = {name: catalogue.checked(tasks.get(name), by_task, about)
                for name in ("glue-sst2", "imdb", "glue-wnli", "liar", "search_qa")}
    assert list(evidence.values()) == ["bytes", "columns", "set", "name", "name"]


def test_a_record_is_made_from_a_mirror(tmp_path, monkeypatch):
    monkeypatch.setattr(availability, "FOLDER", tmp_path / "record")
    monkeypatch.setattr(availability.registry, "TASKS", {n: tasks.get(n) for n in ("glue-sst2", "imdb")})
    for split, n in (("train", 40), ("validation", 5), ("test", 7)):
        file = mirror.location(tmp_path, "nyu-mll/glue", "sst2", split)
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"sentence": f"secret {split} {i}", "label": -1 if split == "test" else i % 2} for i in range(n)]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    assert availability.main(["--mirror", str(tmp_path)]) == 0
    by_task, parts, about = availability.stored()
    assert [(line["rows"], line["labelled"]) for line in by_task["glue-sst2"]] == [("40", "40"), ("5", "5"), ("7", "0")]
    assert [parts["glue-sst2"][p] for p in tasks.PARTS] == ["36", "4", "5"]
    assert about["manifest_lines"] == 0
    assert parts["imdb"]["fault"] \
        == "task imdb, split train: the mirror has no file stanfordnlp--imdb/plain_text/train.parquet"
    assert not any("secret" in file.read_text() or str(tmp_path) in file.read_text()
                   for file in (tmp_path / "record").iterdir())
    assert availability.main(["--mirror", str(tmp_path / "none")]) == 1


# --- tasks of one's own ----------------------------------------------------------------------------------------------
ROW = {"name": "own-task", "category": "TC", "metric": "ACC", "single": "unseen", "hub": "own/task",
       "splits": "train, test", "test": "test", "input": "{words}", "target": "label label", "labels": "no; yes"}


@pytest.fixture
def clean(monkeypatch):
    """Undo after a test what it added to the tasks and shapes."""
    monkeypatch.setattr(own, "ADDED", set())
    places = [(place, place.copy()) for place in (tasks.TASKS, formats.SHAPES)]
    yield
    for place, before in places:
        place.clear()
        place.update(before)


def test_what_an_own_formatter_raises_names_file_row_and_error(clean):
    with pytest.raises(ValueError, match="formatter is 'abc'; it must be a function"):
        own.add(ROW, "abc", reads=["n"], gives=["words"])
    task = own.add(ROW, lambda row, rng: {"words": row["k"]}, reads=["n"], gives=["words"])
    with pytest.raises(ValueError, match="here: row 0, column 'own-task' is made by a function that raised "
                                         "KeyError: 'k'; it is given the columns n"):
        list(formats.format_rows(task, [{"n": 1}], "here"))


def test_a_file_of_tasks_with_commas_is_told_of_tabs(clean, tmp_path):
    (tmp_path / "own.csv").write_text("name,category\nx,TC\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="own.csv: its columns are not separated by tabs"):
        own.read_all(str(tmp_path / "own.csv"))


def test_the_scores_of_an_own_task_have_a_name_of_their_metric_and_answers(clean):
    names = {tasks.scored_by("rotten_tomatoes")}
    for change in ({}, {"metric": "F1"}, {"labels": "yes; no"}, {"shape": "nonempty"}):
        own.add(ROW | change)
        names.add(tasks.scored_by("own-task"))
    assert len(names) == 5
    assert "" in names, "the paper's tasks are fixed, and so are their names"


@pytest.mark.parametrize("change, message", [
    ({"inputs": "x"}, "no column 'inputs'; allowed: name, category"),
    ({"target": ""}, "needs 'target'; needed are name"),
    ({"name": "qasc"}, "task 'qasc' exists already"),
    ({"metric": "accuracy"}, "metric is 'accuracy'; allowed: F1, ACC"),
    ({"single": "test"}, "single is 'test'; allowed: train, unseen"),
    ({"shape": "square"}, "shape is 'square'; allowed: nonempty"),
    ({"target": "class label"}, "with one of the rules label, word"),
    ({"input": "{words|lower}"}, "no filter 'lower'; allowed: strip, clean, "),
    ({"options": "a, b|upper"}, "no filter 'upper'; allowed: "),
    ({"target": "list label|strip|x"}, "no filter 'x'; allowed: "),
    ({"labels": ""}, "the rule 'label' needs labels"),
    ({"target": "number label"}, "the rule 'number' needs options"),
    ({"single": "train", "category": "SA"},
     "'glue-sst2' is already the training task of category SA; allowed: single unseen"),
    ({"splits": "train"}, "splits are train; train is needed, and 'test'"),
    ({"also": "other"}, "also is 'other'; it must be `id config`"),
    ({"labels": "yes; yes"}, "labels are yes; yes; each may occur only once"),
    ({"labels": ["no", "yes"]}, "labels is ['no', 'yes']; every cell must be a text"),
    ({"input": "t: {words"}, "it must name columns, each in braces"),
    ({"input": "words"}, "it must name columns, each in braces"),
    ({"name": "../own-task"}, "a task cannot be called '../own-task'"),
    ({"category": "Zoo"}, "no training task of category 'Zoo' serves it; allowed: SA, "),
])
def test_a_faulty_row_is_refused_in_one_line(clean, change, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        own.add(ROW | change)
    assert "\n" not in str(caught.value)
    assert "own-task" not in tasks.TASKS


def test_a_task_with_a_formatter_is_like_the_others(clean, tmp_path):
    for _ in range(2):  # a notebook's cell may be run more than once
        own.add(ROW, lambda row, rng: {"words": f"number {row['n']}"} if row["n"] else None,
                reads=["n", "label"], gives=["words"])
    for split in ("train", "test"):
        file = mirror.location(tmp_path, "own/task", "default", split)
        file.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table(
            {"n": range(20), "label": [i % 2 for i in range(20)], "unused": ["x"] * 20}), file)
    assert tasks.rows("own-task", "train", mirror=tmp_path)[:2] == [("number 1", ["yes"]), ("number 2", ["no"])]
    assert "own-task" in tasks.names("single", "unseen")
    assert tasks.score("own-task", ["yes"], ["yes"]) == 1


def test_a_task_that_is_added_again_is_read_again(clean, open_run, tmp_path):
    for split, first in (("train", 0), ("test", 20)):
        file = mirror.location(tmp_path, "own/task", "default", split)
        file.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table(
            {"n": range(first, first + 20), "label": [i % 2 for i in range(20)]}), file)
    read = []
    for word in ("number", "digit"):
        own.add(ROW, lambda row, rng, word=word: {"words": f"{word} {row['n']}"}, reads=["n", "label"], gives=["words"])
        read.append(data.load(open_run().backbone, "own-task", "mirror", str(tmp_path), 0, {}, 64, tmp_path / "runs"))
    assert read[0].fingerprint != read[1].fingerprint


def test_a_formatter_does_not_take_the_place_of_a_built_in_shape(clean):
    before = dict(formats.SHAPES)
    for name in ("cloze", "nonempty"):
        with pytest.raises(ValueError, match=f"task '{name}': this is the name of a built-in shape"):
            own.add(ROW | {"name": name}, lambda row, rng: {"words": "x"}, gives=["words"])
    assert before == formats.SHAPES
    assert "cloze" not in tasks.TASKS


def test_a_column_that_another_task_computes_may_be_ones_own(clean):
    task = own.add(ROW | {"input": "{first} {second} {options}", "target": "text good"})
    assert formats.columns(task) == ["first", "second", "options", "good"], \
        "no shape of its own makes these, and there are no answer options"
    own.add(ROW | {"name": "computing"}, lambda row, rng: {"words": row["text"]}, reads=["text"], gives=["words"])
    assert formats.columns(own.add(ROW)) == ["words", "label"]


def test_a_file_of_tasks_is_named_by_the_environment(tmp_path, clean):
    good, bad, long, empty, twice = (tmp_path / f"{name}.tsv" for name in ("good", "bad", "long", "empty", "twice"))
    empty.write_text("\t".join(ROW) + "\n")
    twice.write_text("\n".join("\t".join(line) for line in (ROW, ROW.values(), ROW.values())) + "\n")
    long.write_text("\n".join("\t".join(line) for line in (ROW, [*ROW.values(), "more"])) + "\n")
    good.write_text("\n".join("\t".join(line) for line in (ROW, ROW.values())) + "\n", encoding="utf-8-sig")
    bad.write_text("name\tcategory\nx\tTC\n")
    script = "from unidelta import tasks; print(tasks.names()[-1], len(tasks.names()))"
    run = [subprocess.run([sys.executable, "-c", script], env=os.environ | {"UNIDELTA_TASKS": str(file)},
                          capture_output=True, text=True) for file in (good, bad, long)]
    assert run[0].stdout.split() == ["own-task", "73"]
    said = run[1].stderr.strip().splitlines()[-1]
    assert said == f"unidelta.params.ParameterError: tasks of one's own, {bad}: task 'x' needs 'metric'; needed are " \
        + ", ".join(own.NEEDED)
    command = subprocess.run([sys.executable, "-m", "unidelta.run", "--train", "glue-sst2"],
                             env=os.environ | {"UNIDELTA_TASKS": str(bad)}, capture_output=True, text=True)
    assert command.returncode
    assert command.stderr.strip().splitlines() == [f"unidelta.run: {said.split(': ', 1)[1]}"], "one line"
    check = [subprocess.run(
        [sys.executable, "-m", "unidelta.sources.mirror", "check", "--mirror", str(tmp_path), "--task", "own-task"],
        env=os.environ | {"UNIDELTA_TASKS": str(file)}, capture_output=True, text=True) for file in (good, long)]
    assert check[0].stdout.splitlines() == ["own-task\ttrain\tabsent", "own-task\ttest\tabsent"]
    assert check[0].returncode == 0
    for file, told in ((empty, "there is no row below a first line that names the columns"),
                       (twice, "task 'own-task' occurs twice")):
        with pytest.raises(ParameterError, match=told):
            own.read_all(str(file))
    assert check[1].returncode == 1
    assert len(check[1].stderr.splitlines()) == 1, "one line"
    assert run[2].stderr.strip().splitlines()[-1].endswith(
        "task 'own-task' has more cells than the first line has columns")
