"""The notebooks' front doors: a wrong parameter gets one line that names what is allowed, and leaves nothing behind."""

import ast
import importlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbconvert import PythonExporter
from papermill.translators import PythonTranslator

from unidelta import papermill as command
from unidelta import tasks
from unidelta.params import ParameterError
from unidelta.report import archive, planes

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def defaults(path: Path) -> dict:
    return {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(code_cells(path)[0]).body}


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Return a function that runs a notebook's first cells in this process and returns the exception, or None.

    These cells are the one of parameters, papermill's own, and the one that checks them."""
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path / "runs"))
    shell = InteractiveShell.instance()

    def run(path, **given):
        cells = code_cells(path)
        if "archive" in defaults(path):  # archived results go with no other parameters
            given.setdefault("archive", "none")
        for cell in (cells[0], PythonTranslator.codify(given, "Parameters"), cells[1]):
            if error := shell.run_cell(cell, store_history=True).error_in_exec:
                return error
        return None
    yield run
    InteractiveShell.clear_instance()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_calls_exists(path):
    """Also in branches that the build of the book does not take. A name that a cell assigns is not looked up."""
    tree = ast.parse("\n".join(code_cells(path)))
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "unidelta":
            for name in node.names:
                found = getattr(importlib.import_module(node.module), name.name, None)
                modules[name.asname or name.name] = found or importlib.import_module(f"{node.module}.{name.name}")
    assert modules
    missing = [f"{node.value.id}.{node.attr}" for node in ast.walk(tree)
               if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
               and isinstance(modules.get(node.value.id), ModuleType) and node.value.id not in assigned
               and not hasattr(modules[node.value.id], node.attr)]
    assert not missing


# what is given -> words of the one line that answers it
WRONG = [({"taks": "qasc"}, ["unknown parameter 'taks'", "allowed are"]),
         ({"profile": "embeded"}, ["embeded", "embedded, mini, paper"]),
         ({"source": "hubb"}, ["hubb", "hub, mirror, embedded"]),
         ({"task": "qsac"}, ["qsac", "did you mean 'qasc'"]), ({"task": 7}, ["task is '7'"]),
         ({"train": "glue-sts2"}, ["glue-sts2", "did you mean 'glue-sst2'"]),
         ({"tasks": "scitial"}, ["scitial", "allowed are"]),
         ({"deltas": "lroa"}, ["delta 'lroa'", "adapter, lora, prefix"]),
         ({"seeds": "one"}, ["seeds 'one'", "whole numbers"]),
         ({"steps": "many"}, ["steps", "a whole number from 1"]), ({"steps": -1}, ["steps", "a whole number from 1"]),
         ({"y": 2.5}, ["y is 2.5", "a whole number from 1"]),
         ({"variant": "papr"}, ["papr", "did you mean 'paper'"]),
         ({"compare": "glue-sst3"}, ["glue-sst3", "did you mean 'glue-sst2'"]),
         ({"setting": "mutli"}, ["mutli", "did you mean 'multi'"]),
         ({"archive": "no_such_study"}, ["no_such_study", "none"]),
         ({"backbone": "nowhere"},
          ["nowhere", "allowed: embedded, comparing, rebuilt, shorter, stretches, a local folder"]),
         ({"results": "nowhere"}, ["nowhere", "benchmarks"]), ({"results": 7}, ["results", "7", "benchmarks"]),
         ({"dtype": "float99"}, ["float99", "float32, bfloat16"]), ({"share": 2.0}, ["share", "above 0 and at most 1"]),
         ({"length": 0}, ["length", "a whole number from 1"])]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_wrong_parameters_are_answered_in_one_line(path, opened, tmp_path):
    known = defaults(path)
    asked = [(given, words) for given, words in WRONG if "taks" in given or set(given) <= set(known)]
    assert len(asked) >= 3
    for given, words in asked:
        error = opened(path, **given)
        assert isinstance(error, ParameterError), f"{path.stem} {given}: {error!r}"
        assert "\n" not in str(error), f"{path.stem} {given}: {error}"
        assert all(word in str(error) for word in words), f"{path.stem} {given}: {error}"
        assert error._render_traceback_() == [f"ParameterError: {error}"]
    assert not (tmp_path / "runs").exists(), "nothing half-written"


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem[:2] not in ("00", "04", "30", "31")],
                         ids=lambda path: path.stem)
def test_a_missing_source_is_named_before_anything_is_computed(path, opened, tiny_t5, tmp_path, monkeypatch):
    monkeypatch.delenv("UNIDELTA_MIRROR", raising=False)
    small = {"backbone": tiny_t5} if "backbone" in defaults(path) else {}
    for given, words in (({"mirror": str(tmp_path / "none")}, "is not a folder"), ({}, "needs a folder")):
        error = opened(path, source="mirror", **small, **given)
        assert isinstance(error, ParameterError), error
        assert words in str(error), error
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if "archive" in defaults(p)
                                  and p.stem[:2] not in ("15", "16", "23", "28")], ids=lambda path: path.stem)
def test_what_is_archived_is_not_shown_for_what_was_asked(path, opened, tmp_path):
    """A parameter that would change nothing is refused, with what to add. Its value as it stands is not refused."""
    known = defaults(path)
    error = opened(path, archive=known["archive"], seeds="7")
    assert isinstance(error, ParameterError)
    assert str(error) == "seeds has no effect on archived results: add `-p archive none` to compute with it"
    assert not (tmp_path / "runs").exists()
    assert opened(path, archive=known["archive"], seeds=known["seeds"]) is None


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if defaults(p).get("archive", "all") != "all"],
                         ids=lambda path: path.stem)
def test_a_folder_without_the_study_of_a_page_is_told_in_one_line(path, opened, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    name = defaults(path)["archive"]
    error = opened(path, archive=name)
    assert isinstance(error, ParameterError), error
    assert str(error) == f"no archived study '{name}' in {tmp_path}; allowed: none"


@pytest.mark.parametrize(("name", "given", "told"), [
    ("03_transfer", {"deltas": "lora"}, "transfer needs two"),
    ("05_by_hand", {"seeds": "0,1"}, "one training task and one seed"),
    ("00_backbone", {"steps": 5}, "steps has no effect without a folder to rebuild in: add")])
def test_what_would_give_an_empty_page_or_change_nothing_is_refused(name, given, told, opened, tmp_path):
    error = opened(next(path for path in NOTEBOOKS if path.stem == name), **given)
    assert isinstance(error, ParameterError), error
    assert told in str(error), error
    assert not (tmp_path / "runs").exists()


def test_of_its_own_choice_a_page_keeps_the_tasks_that_a_training_task_serves(opened, capsys):
    path = next(path for path in NOTEBOOKS if path.stem == "27_settings")
    assert opened(path, train="glue-sst2") is None
    assert InteractiveShell.instance().user_ns["p"].unseen == ["amazon_polarity", "rotten_tomatoes"]
    told = capsys.readouterr().out
    assert "glue-sst2 does not serve scitail, codah, " in told
    assert told.endswith(": left out.\n")
    error = opened(path, train="glue-sst2", tasks="rotten_tomatoes,scitail")  # but what was typed is refused
    assert isinstance(error, ParameterError)
    assert "tasks 'scitail' is unknown" in str(error)


def test_all_tasks_are_all_that_a_training_task_serves(opened, capsys):
    assert opened(next(path for path in NOTEBOOKS if path.stem == "02_optimize"), train="dream") is None
    assert "superglue-copa" in InteractiveShell.instance().user_ns["p"].unseen
    assert capsys.readouterr().out == ""


# chapters that show more studies than their own, with those that they show beside it
BESIDE = {path.stem: re.findall(r'further\(p\.archive, "(\w+)"\)', "\n".join(code_cells(path))) for path in NOTEBOOKS}


@pytest.mark.parametrize(("name", "beside"), [(name, other) for name, others in BESIDE.items() if others
                                              for other in [None, *others]])
def test_a_chapter_shows_what_a_folder_of_ones_own_studies_holds(name, beside, tmp_path, monkeypatch, capsys):
    """And says in one line that a section has nothing, where the folder lacks the study behind it."""
    path = next(path for path in NOTEBOOKS if path.stem == name)
    for study in filter(None, (defaults(path)["archive"], beside)):
        (tmp_path / study).symlink_to(archive.FOLDER / study)
    drawn = archive.load("planes")["unchanged"]
    monkeypatch.setattr(archive, "FOLDER", tmp_path)
    monkeypatch.setattr(planes, "drawn", lambda *_: {"scitail": planes.from_frame(drawn.frame, drawn.ids)["ai2_arc"]})
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path / "runs"))
    shell = InteractiveShell.instance()
    try:
        for cell in code_cells(path):
            error = shell.run_cell(cell, store_history=True).error_in_exec
            assert error is None, f"{cell}\n{error!r}"
    finally:
        InteractiveShell.clear_instance()
    assert beside or "not compared here" in capsys.readouterr().out


def test_checks_also_where_no_history_is_kept(monkeypatch, tmp_path, tiny_t5):
    """nbval runs the cells like this."""
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path / "runs"))
    shell, cells = InteractiveShell.instance(), code_cells(ROOT / "notebooks" / "03_transfer.ipynb")
    for given, wrong in ((f"backbone = {tiny_t5!r}", None), ("task = 'qsac'", ParameterError)):
        results = [shell.run_cell(cell, store_history=False).error_in_exec for cell in (cells[0], given, cells[1])]
        assert results[:2] == [None, None], results
        assert type(results[2]) is (wrong or type(None)), results
    InteractiveShell.clear_instance()


def test_a_misspelt_name_in_the_parameters_cell_is_told_too(monkeypatch, tmp_path):
    """The name is typed in the cell, instead of being given to papermill."""
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path / "runs"))
    shell, (first, second, *_) = InteractiveShell.instance(), code_cells(ROOT / "notebooks" / "03_transfer.ipynb")
    shell.run_cell(first.replace("task = ", "taks = "), store_history=True)
    error = shell.run_cell(second, store_history=True).error_in_exec
    InteractiveShell.clear_instance()
    assert isinstance(error, ParameterError)
    assert str(error).startswith("unknown parameter 'taks': allowed are profile, ")
    assert " task, " in str(error)


def test_a_cell_of_parameters_without_its_tag_is_told(monkeypatch, tmp_path):
    """papermill then puts what was given with -p before everything else, where it changes nothing."""
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path / "runs"))
    shell, (first, second, *_) = InteractiveShell.instance(), code_cells(ROOT / "notebooks" / "03_transfer.ipynb")
    for cell in ("# Parameters\nseeds = '0'", first):
        shell.run_cell(cell, store_history=True)
    error = shell.run_cell(second, store_history=True).error_in_exec
    InteractiveShell.clear_instance()
    assert isinstance(error, ParameterError)
    assert "has lost its tag `parameters`" in str(error)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_exported_as_a_script_it_is_python_and_checks_its_parameters(path, monkeypatch, tmp_path):
    """As `jupyter nbconvert --to script` exports it: no cell needs a kernel, and the values in the script count."""
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path / "runs"))
    source = PythonExporter().from_filename(path)[0]
    compile(source, path.name, "exec")
    _, parameters, check = re.split(r"# In\[.*\]:\n", source)[:3]
    with pytest.raises(ParameterError, match="unknown parameter 'taks'"):
        exec(parameters.replace("# parameters\n", "# parameters\ntaks = 1\n", 1) + check, {})
    assert not (tmp_path / "runs").exists()


def test_every_notebook_takes_the_common_parameters():
    for path in NOTEBOOKS:
        if path.stem[:2] not in ("00", "30", "31"):
            profile = "mini" if path.stem == "14_real_rows" else "embedded"
            model = {} if path.stem[:2] in ("20", "27") else {"backbone": None}
            assert ({"profile": profile, "source": None, "mirror": None} | model).items() <= defaults(path).items()
    assert defaults(ROOT / "notebooks" / "03_transfer.ipynb")["task"] in tasks.names()


def papermill(given: list[str], folder: Path, **streams) -> subprocess.Popen:
    """Start the environment's command `papermill`, as from a shell in `folder`."""
    command = [str(Path(sys.executable).with_name("papermill")), str(ROOT / "notebooks" / "03_transfer.ipynb"),
               *given, "--no-progress-bar"]
    return subprocess.Popen(command, cwd=folder, env=os.environ | {"UNIDELTA_RUNS": str(folder / "runs")},
                            stderr=subprocess.PIPE, text=True, **streams)


@pytest.mark.parametrize("output", ["terminal", "pipe", "file"])
def test_papermill_as_typed_exits_non_zero(tmp_path, output):
    """A wrong task gives one line and leaves nothing: in a terminal, between pipes, and with an output path."""
    master, terminal = pty.openpty()
    streams = (dict(stdin=terminal, stdout=terminal) if output == "terminal"
               else dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    if output == "file":
        (tmp_path / "out.ipynb").write_text("kept")
    with papermill(
            (["out.ipynb"] if output == "file" else []) + ["-p", "task", "qsac"], tmp_path, **streams) as process:
        said, errors = process.communicate()
    os.close(terminal)
    os.close(master)
    assert process.returncode == 1
    assert errors.strip().splitlines()[-1].startswith(
        "ParameterError: task is 'qsac' (did you mean 'qasc'?): allowed are ")
    assert "Traceback" not in errors
    assert [p.name for p in tmp_path.iterdir()] == ["out.ipynb"] * (output == "file"), "nothing is computed or left"
    assert output != "file" or (tmp_path / "out.ipynb").read_text() == "kept", "what was there is"
    assert output != "pipe" or "Traceback" not in "".join(
        o.get("ename", "") for c in json.loads(said)["cells"] for o in c.get("outputs", []))


def test_a_path_or_kernel_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given, told in ((["03.ipynb", "out.ipynb"], "no notebook '03.ipynb'"),
                        ([str(NOTEBOOKS[0]), "there/out.ipynb"], "no folder 'there'"),
                        ([str(ROOT / "README.md"), "out.ipynb"], "README.md' is no notebook"),
                        ([str(NOTEBOOKS[0]), "out.ipynb", "-k", "nope"], "no kernel 'nope' here; allowed: .*python3")):
        monkeypatch.setattr(sys, "argv", ["papermill", *given])
        with pytest.raises(SystemExit, match=f"^papermill: .*{told}"):
            command.main()
    assert not list(tmp_path.iterdir())


def test_papermill_in_a_terminal_says_where_the_notebook_is(tmp_path):
    master, terminal = pty.openpty()
    with papermill(["-p", "task", "qasc", "--prepare-only"], tmp_path, stdin=terminal, stdout=terminal) as process:
        _, errors = process.communicate()
    os.close(terminal)
    os.close(master)
    assert process.returncode == 0
    assert "Output Notebook: 03_transfer.out.ipynb" in errors
    assert 'task = "qasc"' in (tmp_path / "03_transfer.out.ipynb").read_text(encoding="utf-8").replace('\\"', '"')


def test_captions_name_their_data():
    for path in NOTEBOOKS:
        if path.stem[:2] in ("00", "04", "20", "30", "31"):
            continue
        cells = nbformat.read(path, as_version=4).cells
        said = [o.data.get("text/markdown", "") for c in cells if c.cell_type == "code"
                for o in c.outputs if "data" in o]
        captions = [text for text in said if "Profile `" in text]
        data = "real rows" if path.stem == "14_real_rows" else "stand-in data"
        assert captions, path.stem
        assert all(data in text and "seeds" in text and "artifacts" in text for text in captions), path.stem


def test_what_is_archived_is_compared_to_the_letter():
    """Chapters of archived results compute nothing, so their committed outputs are the same on any machine."""
    # in these, archives stand beside what is computed
    computing = {"15_landscape", "16_claims", "23_convergence", "28_results"}
    archived = [path for path in NOTEBOOKS if "archive" in defaults(path) and path.stem not in computing]
    assert len(archived) == 12
    for path in archived:
        loose = [c.source for c in nbformat.read(path, as_version=4).cells
                 if "nbval-ignore-output" in c.metadata.get("tags", [])]
        assert all("understanding.re" in source for source in loose), f"{path.stem}: {loose}"


def test_the_chapter_on_the_data_says_which_rows_it_shows():
    cells = nbformat.read(ROOT / "notebooks" / "20_data.ipynb", as_version=4).cells
    said = [o.data.get("text/markdown", "") for c in cells if "catalogue.caption" in c.source for o in c.outputs]
    assert len(said) == 3
    assert all(text.endswith("Stand-in data.*") for text in said)
    figures = [i for i, c in enumerate(cells) if any("image/png" in o.get("data", {}) for o in c.get("outputs", []))]
    assert len(figures) == 2
    assert all("catalogue.caption" in cells[i + 1].source for i in figures)
