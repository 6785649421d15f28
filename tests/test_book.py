"""Opens the rendered book: every page, table row and figure is there, nothing is broken, nothing is left unresolved.

`make book` renders it; without a rendered book these tests are skipped, except in `make test`, which asks for one.
"""

import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
EXECUTED = ROOT / "_build" / "source" / "notebooks"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"]] + [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
CHAPTERS = [Path(page).name for page in PAGES if page.startswith("notebooks/")]
# the paper's table -> the notebook that re-derives it
PUBLISHED = {1: "10_table1", 2: "11_table2", 3: "17_multi_task", 4: "17_multi_task",
             **dict.fromkeys((6, 7, 8, 9), "21_simplified"), 10: "22_absolute", 11: "22_absolute"}
HIDDEN = {"remove-cell", "remove_cell", "remove-output", "remove_output"}


@pytest.fixture(autouse=True, scope="module")
def rendered():
    if not (HTML / "index.html").is_file():
        missing = "the book is not rendered: run `make book` first"
        pytest.fail(missing) if os.environ.get("UNIDELTA_BOOK") == "required" else pytest.skip(missing)


@cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def article(page: str):
    found = soup(HTML / f"{page}.html").find("article")
    assert found is not None, f"{page} has no article"
    return found


@cache
def shown_outputs(chapter: str) -> list:
    """Return the data of the outputs that a notebook's page must show."""
    cells = nbformat.read(EXECUTED / f"{chapter}.ipynb", as_version=4).cells
    cells = [c for c in cells if c.cell_type == "code" and not HIDDEN & set(c.metadata.get("tags", []))]
    return [o.data for c in cells for o in c.outputs if o.output_type in ("display_data", "execute_result")]


def grid(table: str) -> list[list[str]]:
    rows = BeautifulSoup(table, "html.parser").find_all("tr")
    return [[" ".join(cell.get_text(" ").split()) for cell in row.find_all(["td", "th"])] for row in rows]


@pytest.mark.parametrize("page", PAGES)
class TestPage:
    def test_is_not_empty(self, page):
        text = article(page).get_text(" ", strip=True)
        assert article(page).find("h1") is not None
        assert len(text) > 300, f"only {len(text)} characters"

    def test_nothing_failed_or_unresolved(self, page):
        body = article(page)
        for selector in (".traceback", ".problematic", ".system-message", ".stderr"):
            assert not body.select(selector), f"{selector}: {body.select(selector)[0].get_text()[:200]}"
        math = {id(string) for formula in body.select(".math") for string in formula.find_all(string=True)}
        text = " ".join(string for string in body.find_all(string=True) if id(string) not in math)
        for leftover in ("Traceback (most recent call last)", "{glue", "{doc}", "{numref}", "{cite", "{eq}",
                         "{{", "}}"):
            assert leftover not in text, leftover
        cells = {cell.get_text(strip=True) for cell in body.find_all("td")}
        assert not {"NaN", "nan", "None", "<NA>", "NaT", "inf"} & cells, "a table has a cell without a value"

    def test_figures_exist(self, page):
        for image in article(page).find_all("img"):
            assert image["alt"], "no alternative text"
            assert not image["alt"].startswith("_images"), "no alternative text"
            if image["src"].startswith("data:image/png;base64,"):
                assert len(image["src"]) > 5000
                continue
            file = (HTML / f"{page}.html").parent / unquote(urlsplit(image["src"]).path)
            assert file.is_file(), image["src"]
            assert file.stat().st_size > 500, image["src"]

    def test_links_lead_somewhere(self, page):
        here = HTML / f"{page}.html"
        for link in article(page).find_all("a", href=True):
            parts = urlsplit(link["href"])
            if parts.scheme:
                continue
            target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
            assert target.is_file(), link["href"]
            if parts.fragment and target.suffix == ".html":
                assert soup(target).find(id=unquote(parts.fragment)) is not None, link["href"]

    def test_renders_without_a_network(self, page):
        whole = soup(HTML / f"{page}.html")
        loaded = [t.get("src") for t in whole.find_all(["script", "img", "iframe"])]
        loaded += [t.get("href") for t in whole.find_all("link") if "stylesheet" in (t.get("rel") or [])]
        assert not [url for url in loaded if url and urlsplit(url).scheme in ("http", "https")]

    def test_is_reached_from_the_first_page(self, page):
        links = {unquote(a["href"]) for a in soup(HTML / "index.html").find_all("a", href=True)}
        assert page == TOC["root"] or f"{page}.html" in links


@pytest.mark.parametrize("chapter", CHAPTERS)
class TestChapter:
    def test_was_run_for_this_book(self, chapter):
        notebook = nbformat.read(EXECUTED / f"{chapter}.ipynb", as_version=4)
        assert notebook.metadata.papermill.exception is None
        assert all(c.execution_count for c in notebook.cells if c.cell_type == "code" and c.source.strip())

    def test_shows_every_table_row(self, chapter):
        shown = [grid(str(table)) for table in article(f"notebooks/{chapter}").find_all("table")]
        for data in shown_outputs(chapter):
            for table in BeautifulSoup(data.get("text/html", ""), "html.parser").find_all("table"):
                expected = grid(str(table))
                assert len(expected) > 1, "a table without rows"
                assert expected in shown, f"table with the header {expected[0]} is missing or differs"

    def test_shows_every_figure(self, chapter):
        expected = sum("image/png" in data or "image/svg+xml" in data for data in shown_outputs(chapter))
        body = article(f"notebooks/{chapter}")
        assert len(body.select(".cell_output img, .cell_output svg")) >= expected


def test_the_first_page_has_the_figure_of_the_results():
    """It is the figure that its chapter's notebook last made."""
    first, chapter = (article(page).find("img", src=re.compile("^data:"))
                      for page in ("index", "notebooks/28_results"))
    assert first["src"] == chapter["src"]


def test_the_square_of_fine_tuning_stands_beside_the_papers():
    from unidelta import paper

    tables = article("notebooks/19_finetune").find_all("table")
    rows = [" ".join(cells) for table in tables for cells in grid(str(table))]
    for row in paper.table(5).itertuples(index=False):
        assert any(text.startswith(row.source) and all(f"{value:.1f}" in text for value in row[1:]) for text in rows)
    for own in (True, False):
        theirs = f"{paper.square(['rotten_tomatoes'], own):.1f}"
        assert any(text.startswith("the paper, same tasks") and theirs in text for text in rows)


@pytest.mark.parametrize(("number", "chapter"), PUBLISHED.items())
def test_published_figures_stand_beside_ours(number, chapter):
    from unidelta import paper

    page = article(f"notebooks/{chapter}")
    rows = [" ".join(cells) for table in page.find_all("table") for cells in grid(str(table))]
    for row in paper.table(number).itertuples(index=False):
        names = {row.test, paper.TASKS.get(row.test, row.test)}
        found = [text for text in rows if any(name in text for name in names)]
        assert any(f"{row[-1]:.1f}" in text for text in found), f"Table {number}: no row {row.test} with {row[-1]:.1f}"
