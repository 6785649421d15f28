"""Parameters of notebooks, in real notebooks run by papermill."""
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from IPython.core.interactiveshell import InteractiveShell
from papermill.translators import PythonTranslator

from unidelta import params
from unidelta.params import ParameterError

CELLS = [
    '''# parameters
profile = "embedded"  # which sizes
task = "qasc"         # a task
lr = 5e-4             # learning rate
steps = 10
seeds = "0,1"
caps = None           # rows, or the profile's
fast = False''',
    '''from unidelta import params
def positive(value):
    "a number above 0"
    return value > 0
p = params.check(globals(), {"profile": ["embedded", "mini", "paper"], "task": {"qasc": 1, "wsc": 2, "dream": 3},
                             "lr": positive, "caps": int})
chosen = params.names(p.seeds, range(10), "seed")''',
    '''open("done.txt", "w").write(repr((p.profile, p.task, lr, p.steps, chosen, p.caps, fast)))''']


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(params.__file__).parents[1]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    book = nbformat.v4.new_notebook()
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, "book.ipynb")

    def run(**given):
        papermill.execute_notebook("book.ipynb", "out.ipynb", given, kernel_name="python3", progress_bar=False)
        return eval(Path("done.txt").read_text())
    return run


@pytest.fixture
def session():
    """An IPython session in this process: (run a cell -> its exception or None, the session's names)."""
    shell = InteractiveShell.instance()
    yield lambda cell: shell.run_cell(cell, store_history=True).error_in_exec, shell.user_ns
    InteractiveShell.clear_instance()


def test_defaults_and_conversions(notebook):
    assert notebook() == ("embedded", "qasc", 5e-4, 10, [0, 1], None, False)
    # as papermill's command line delivers them: whole numbers for a float, a number for a text
    assert notebook(task="wsc", lr=1, seeds=3, caps=16) == ("embedded", "wsc", 1.0, 10, [3], 16, False)


KNOWN = "allowed are profile, task, lr, steps, seeds, caps, fast"


@pytest.mark.parametrize(("given", "line"), [
    ({}, None),
    ({"taks": "wsc"}, f"unknown parameter 'taks' (did you mean 'task'?): {KNOWN}"),
    ({"task": "qsac"}, "task is 'qsac' (did you mean 'qasc'?): allowed are qasc, wsc, dream"),
    ({"profile": 7}, "profile is '7': allowed are embedded, mini, paper"),
    ({"profile": 0.5}, "profile is '0.5': allowed are embedded, mini, paper"),
    ({"steps": "many"}, "steps is 'many': it must be of type int, such as 10"),
    ({"steps": 10.5}, "steps is 10.5: it must be of type int, such as 10"),
    ({"fast": 1}, "fast is 1: it must be of type bool, such as False"),
    ({"lr": -1}, "lr is -1.0: it must be a number above 0"),
    ({"lr": None}, "lr is None: it must be of type float, such as 0.0005"),
    ({"caps": "x"}, "caps is 'x': it must be of type int"),
    ({"caps": ""}, "caps is '': leave it out, or give it a value"),
    ({"seeds": "0,11"}, "seed '11' is unknown (did you mean '1'?): allowed are 0 to 9, or all"),
    ({"task": "x", "stepz": 3}, f"unknown parameter 'stepz' (did you mean 'steps'?): {KNOWN}; "
                                "task is 'x': allowed are qasc, wsc, dream")])
def test_what_is_wrong_becomes_one_line(session, given, line):
    run, _ = session
    injected = PythonTranslator.codify(given, "Parameters")  # the very cell papermill inserts
    errors = [error for error in map(run, [CELLS[0], injected, CELLS[1]]) if error]
    assert [str(error) for error in errors] == ([line] if line else [])
    assert all(isinstance(error, ParameterError) for error in errors)


def test_papermill_shows_the_line_without_frames(notebook):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        notebook(steps="many")
    line = "steps is 'many': it must be of type int, such as 10"
    assert (error.value.ename, error.value.evalue) == ("ParameterError", line)
    assert error.value.traceback == [f"ParameterError: {line}"]
    assert not Path("done.txt").exists()


def test_command_line_exits_non_zero_and_ends_with_the_line(notebook):
    command = [sys.executable, "-m", "papermill", "book.ipynb", "out.ipynb", "--no-progress-bar"]
    done = subprocess.run([*command, "-p", "task", "wcs"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert not Path("done.txt").exists()
    line = "ParameterError: task is 'wcs' (did you mean 'wsc'?): allowed are qasc, wsc, dream"
    assert done.stderr.strip().splitlines()[-1] == line
    given = ["-p", "task", "wsc", "-p", "seeds", "2"]
    assert subprocess.run([*command, *given], capture_output=True, check=False).returncode == 0
    assert eval(Path("done.txt").read_text())[1:5] == ("wsc", 5e-4, 10, [2])


def test_history_of_an_interactive_session(session):
    run, names = session
    look = "from unidelta import params\np = params.check(globals(), {'task': ['qasc', 'wsc']})"
    assert "begins with '# parameters' first" in str(run(look))
    assert run("# parameters\ntask = 'qasc'") is None
    assert run("# Parameters\ntusk = 'wsc'") is None
    assert "unknown parameter 'tusk'" in str(run(look))
    assert run("# parameters\ntask = 'wsc'") is None
    assert run(look) is None, "running the defaults again starts anew"
    assert names["p"].task == "wsc"
    assert run("# parameters\ntask = 'x'") is None
    assert "task is 'x'" in str(run(look)), "edits are checked too"
    assert run("# parameters\ntask = str(1)") is None
    assert "may only hold" in str(run(look))


def above_zero(value):
    """a number above 0"""
    return value > 0


def test_outside_notebooks_plain_values_count():
    space = {"__name__": "__main__", "json": json, "task": "qasc", "lr": 1, "caps": None}
    effective = params.check(space, {"task": ["qasc"], "caps": int, "lr": above_zero})
    assert vars(effective) == {"task": "qasc", "lr": 1, "caps": None}
    with pytest.raises(ParameterError, match="the parameters cell has no 'steps'"):
        params.check(space, {"steps": int})


def test_names():
    allowed = ["adapter", "lora", "prefix"]
    assert params.names("all", allowed) == params.names(" all ", allowed) == allowed
    assert params.names(("lora",), allowed) == ["lora"]
    assert params.names("prefix, adapter,prefix", allowed) == ["prefix", "adapter"]
    assert params.names('["prefix", "adapter"]', allowed) == ["prefix", "adapter"]
    assert params.names("0,2", range(5), "seed") == [0, 2]
    assert params.names(3, range(5), "seed") == [3]
    for wrong, line in [("lroa", "delta 'lroa' is unknown (did you mean 'lora'?): allowed are adapter, lora, prefix"),
                        ("", "no delta given: allowed are adapter, lora, prefix, or all"),
                        ("[1", "delta is '[1': not a list in JSON")]:
        with pytest.raises(ParameterError) as error:
            params.names(wrong, allowed, "delta")
        assert str(error.value).startswith(line)
        assert "\n" not in str(error.value)
