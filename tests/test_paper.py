"""The published tables: shape, transcription, and the places where the paper's averages do not follow from its rows."""
import math

import pandas as pd
import pytest
from pybtex.database import parse_file

from unidelta import ROOT, paper, tasks

DELTAS, TRANSFERS = ["Adapter", "LoRA", "Prefix"], ["A->L", "A->P", "L->A", "L->P", "P->A", "P->L"]


@pytest.mark.parametrize(("n", "labels", "figures", "rows"), [
    (1, ["train", "test"], [*DELTAS, "Avg."], 12), (2, ["train", "test"], [*TRANSFERS, "Avg."], 12),
    (3, ["test"], [*DELTAS, "Avg."], 10), (4, ["test"], [*TRANSFERS, "Avg."], 10),
    (5, ["source"], ["Adapter", "Prefix", "LoRA", "Fine-tune"], 4),
    (6, ["train", "test"], [*DELTAS, "Avg."], 12), (7, ["test"], [*DELTAS, "Avg."], 10),
    (8, ["train", "test"], [*TRANSFERS, "Avg."], 12), (9, ["test"], [*TRANSFERS, "Avg."], 10),
    (10, ["train", "test"], [*DELTAS, "Fine-tune"], 12), (11, ["test"], [*DELTAS, "Fine-tune"], 10)])
def test_shape(n, labels, figures, rows):
    frame = paper.table(n)
    assert list(frame) == labels + figures
    assert len(frame) == rows
    assert all(frame[column].dtype == float for column in figures)
    assert not frame.isna().any().any()
    assert frame[figures].to_numpy().min() >= 0
    assert frame[figures].to_numpy().max() <= 110
    if n != 5:
        assert frame["test"].iloc[-1] == "Avg."
        assert frame["test"].is_unique


def test_a_few_figures_by_eye():
    first = paper.table(1)
    assert first.iloc[3].tolist() == ["MNLI", "RTE", 95.4, 68.2, 80.2, 81.3]
    assert first["train"].tolist()[-5:] == ["ELI5-ELI5", "DREAM", "DREAM", "DREAM", ""]
    assert paper.table(8).set_index("test").at["MRPC", "P->L"] == 5.6
    assert paper.table(9).set_index("test").at["ETHOS-Gender", "A->P"] == 0.0
    assert paper.table(5).set_index("source").at["Fine-tune", "Prefix"] == 99.7


def test_the_square_has_a_diagonal_and_twelve_other_cells():
    cells = paper.table(5).set_index("source")
    own, moved = (paper.square(["rotten_tomatoes"], own=own) for own in (True, False))
    assert own == pytest.approx(sum(cells.at[name, name] for name in cells) / 4) == pytest.approx(98.65)
    assert 4 * own + 12 * moved == pytest.approx(cells.to_numpy().sum())
    assert pd.isna(paper.square(["scitail"], own=True)), "the table is of Rotten Tomatoes alone"


def test_the_square_is_of_one_task_alone():
    assert paper.square(["rotten_tomatoes"], True) > 0
    assert math.isnan(paper.square(["rotten_tomatoes", "scitail"], True))


def test_transcription_against_the_text(shared):
    text = (shared / "paper" / "paper.txt").read_text(encoding="utf-8").replace("\n", " ")
    for n in paper.NUMBERS:
        frame = paper.table(n)
        figures = frame.select_dtypes("number")
        for label, row in zip(frame["source" if n == 5 else "test"], figures.to_numpy(), strict=True):
            times = 3 if n in (5, 10, 11) else 1  # these tables' figures stand three times each in the text
            assert " ".join([label, *(f"{value:.1f}" * times for value in row)]) in text, (n, label)


def test_tables_10_and_11_agree_where_they_share_tasks():
    ten, eleven = paper.table(10).set_index("test").drop(columns="train"), paper.table(11).set_index("test")
    both = ["Rotten Tomatoes", "WSC", "QuaRTz", "ELI5-Asks"]
    pd.testing.assert_frame_equal(ten.loc[both], eleven.loc[both])


def test_known_inconsistencies():
    found = paper.inconsistencies()
    got = {(row.table, row.column): row.difference for row in found.itertuples()}
    assert got == pytest.approx({
        (10, "Adapter"): 1.45, (10, "LoRA"): 1.26, (10, "Prefix"): 0.77, (10, "Fine-tune"): 1.03,
        (11, "Adapter"): 1.38, (11, "LoRA"): 1.47, (11, "Prefix"): 0.78, (11, "Fine-tune"): 1.54}, abs=0.006)
    assert set(found["over"]) == {"rows"}
    assert set(found["row"]) == {"Avg."}


def test_an_altered_figure_is_noticed(monkeypatch):
    real = paper.table

    def altered(n):
        frame = real(n)
        if n == 1:
            frame.loc[0, "LoRA"] += 1.5
        return frame
    monkeypatch.setattr(paper, "table", altered)
    found = paper.inconsistencies()
    assert {(r.row, r.column, r.over) for r in found.itertuples() if r.table == 1} == {
        ("Rotten Tomatoes", "Avg.", "columns"), ("Avg.", "LoRA", "rows")}


def test_names_of_tasks():
    used = {name for n in paper.NUMBERS if n != 5 for column in ("train", "test") if column in paper.table(n)
            for name in paper.table(n)[column]} - {"Avg.", ""}
    assert used == set(paper.TASKS)
    assert paper.task_name("R. Tomatoes") == paper.task_name("Rotten Tomatoes") == "rotten_tomatoes"
    assert set(paper.TASKS.values()) <= set(tasks.names())


def test_unknown_numbers_and_names():
    for wrong in (12, 1.0, True, "1"):
        with pytest.raises(ValueError, match="allowed are 1 to 11"):
            paper.table(wrong)
    with pytest.raises(ValueError, match="Table 5 has no rows of unseen tasks"):
        paper.rows(5, ["rotten_tomatoes"])
    with pytest.raises(ValueError, match="no task 'SST2': allowed are SST-2, "):
        paper.task_name("SST2")


def test_references():
    entries = parse_file(str(ROOT / "book" / "references.bib")).entries
    needed = """yi2022 raffel2020 lester2021 houlsby2019 hu2021 li2021 he2021 li2018 aghajanyan2021 qin2021 le2013
                yang2015 shazeer2018 ye2021 lhoest2021 socher2013 pang2005"""
    assert set(needed.split()) <= set(entries)
    for key, entry in entries.items():
        assert entry.persons["author"], key
        assert {"title", "year"} <= set(entry.fields), key
        assert key == "qqp" or entry.fields["year"] in key, f"{key}: the key is author and year"
        assert {"booktitle", "journal", "eprint", "howpublished"} & set(entry.fields), f"{key}: where did it appear?"
    assert {key for task in tasks.TASKS.values() for key in task.citation} <= set(entries)
