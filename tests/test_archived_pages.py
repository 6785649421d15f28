"""Chapters 16 and 28 as committed: one training task is computed there, and all the rest follows from the archives."""

import nbformat
import pytest
from IPython.display import HTML
from test_report import grid

from unidelta import ROOT, stages
from unidelta.report import Results, archive, claims_archived, outcome, verdicts
from unidelta.report import planes as figure2


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The single-task results of the default draw, as archived, and the studies that stand beside them."""
    kept = archive.load("backbones")["unchanged"]
    run = stages.Run.open("embedded", str(tmp_path_factory.mktemp("runs")))
    found = Results(run, kept.seeds, kept.frame, [])
    return found, claims_archived.judged_by(found)


def page(notebook: str, words: str) -> list[list[str]] | str:
    """What the cell with these words shows in a committed notebook."""
    cell, = (c for c in nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4).cells
             if c.cell_type == "code" and words in c.source)
    data = next(o.data for o in cell.outputs if "data" in o)
    return grid(HTML(data["text/html"])) if "text/html" in data else data["text/markdown"]


def test_the_chapter_of_claims_shows_what_the_archives_give(base):
    """Its cells are not compared, because one training task is computed; most rows rest on archives alone."""
    results, studies = base
    drawn = {t: p for r in studies["planes"].values() for t, p in figure2.from_frame(r.frame, r.ids).items()}
    found = claims_archived.with_all_others(results, drawn, studies)
    again = claims_archived.with_all_others(studies["more_seeds"]["unchanged"], drawn,
                                            claims_archived.with_more_seeds(studies))
    whole = 0
    for added, words in ((False, "[c for c in found if not c.added]"), (True, "[c for c in found if c.added]")):
        ours = grid(verdicts.table([c for c in found if c.added == added], again, 6))
        for (known, six, text, said, *rest), (shown, six_shown, text_shown, said_shown, *rest_shown) in zip(
                ours, page("16_claims", words), strict=True):
            assert (text, six, rest) == (text_shown, six_shown, rest_shown)
            beside_the_page = text.startswith("Many training") or "one training task (our" in text
            if said.endswith("(archived)") and not beside_the_page:
                assert (known, said) == (shown, said_shown), text
                whole += 1
    assert whole > 25
    told = page("16_claims", "verdicts.changes(found, again)").splitlines()
    now = {c.name: c.ours.removesuffix(" (archived)") for c in again}
    for line in told:
        name = line[2:].split(": ")[0]
        assert name not in now or line.endswith(f"({now[name]})."), name


def test_the_chapter_of_results_shows_what_the_archives_give(base):
    results, studies = base
    found = outcome.headlines(results, outcome.draws(results), studies["long_answers"])
    ours = grid(outcome.table([*found, *outcome.simplified(studies["simplified"])], studies["finetune"]["unchanged"],
                              studies["more_seeds"]))
    shown = page("28_results", "outcome.table(")
    assert len(ours) == len(shown) == 1 + 15
    for mine, theirs in zip(ours, shown, strict=True):
        if mine[0].startswith("One training task"):  # computed by the page: all but what more seeds give, and the paper
            assert mine[:1] + mine[2:4] == theirs[:1] + theirs[2:4]
        else:
            assert mine == theirs
    assert page("28_results", "outcome.other_settings(") == grid(outcome.other_settings(
        studies["dimension"], archive.part_of(studies["more_seeds"], "dimension"),
        *(studies[name] for name in ("spread", "spread_seeds", "objective"))))
    low = outcome.missing(found).data.splitlines()
    assert [line for line in low if "Many training" in line] \
        == [line for line in page("28_results", "outcome.missing").splitlines() if "Many training" in line] != []
