"""The repository agrees with itself: pins, table of contents, commands, notebooks' form, and what must not be in it."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import nbformat
import pytest
import yaml

from unidelta import suite
from unidelta.studies import STUDIES

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SKIP = {".git", ".venv", "_build", "runs", ".snakemake", "__pycache__", ".pytest_cache", ".ruff_cache"}


def tracked() -> list[Path]:
    """Return the project's files: what git tracks or would add, or, outside a clone, everything that is not built."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True) if shutil.which("git") else None
    if found and found.returncode == 0 and found.stdout:
        files = [ROOT / name for name in found.stdout.split("\0") if name]
    else:
        files = [p for p in ROOT.rglob("*") if not SKIP & set(p.relative_to(ROOT).parts)]
    return [path for path in files if path.is_file()]


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def canonical(pin: str) -> str:
    return pin.lower().replace("_", "-")


def test_environments_pin_the_same_versions():
    project = pyproject()
    direct = {canonical(p) for p in project["dependencies"] + sum(project["optional-dependencies"].values(), [])}
    assert all(re.fullmatch(r"[a-z0-9-]+==[^=*]+", pin) for pin in direct), \
        "every direct dependency has one exact version"
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    conda = next(entry["pip"] for entry in environment if isinstance(entry, dict))
    assert {canonical(pin) for pin in conda if not pin.startswith("-")} == direct
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert direct <= {canonical(line) for line in lines if not line.startswith("#")}


def test_conda_python_is_allowed():
    floor = tuple(map(int, pyproject()["requires-python"].removeprefix(">=").split(".")))
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    python = next(entry for entry in environment if str(entry).startswith("python="))
    assert tuple(map(int, python.removeprefix("python=").split("."))) >= floor


def test_contents_and_pages_agree():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = [toc["root"]] + [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    assert len(listed) == len(set(listed))
    pages = {p.relative_to(ROOT).with_suffix("").as_posix() for p in [*(ROOT / "book").glob("*.md"), *NOTEBOOKS]}
    assert set(listed) == pages | {"index"}


def test_commands_exist():
    rules = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"help", "environment", "book", "test", "lint", "clean"} <= set(rules)
    ci = ROOT / ".ci" / "run"
    assert os.access(ci, os.X_OK)
    assert "set -euo pipefail" in ci.read_text(encoding="utf-8")
    assert ci.read_text(encoding="utf-8").endswith("make test\n")


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_python_below_make_may_keep_what_it_compiled():
    """pip compiles nothing, so that without it every process would compile the packages anew."""
    shown = subprocess.run(["make", "--no-print-directory", "--eval", "shown: ; @env", "shown"], cwd=ROOT, text=True,
                           capture_output=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": "x"})
    assert shown.returncode == 0, shown.stderr
    assert "PYTHONUTF8=1" in shown.stdout
    assert not [name for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH") if f"{name}=" in shown.stdout]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_a_wrong_profile_is_one_line_before_anything_is_made():
    refused = subprocess.run(["make", "--no-print-directory", "book", "PROFILE=nope"], cwd=ROOT,
                             text=True, capture_output=True)
    assert refused.returncode != 0
    assert refused.stdout == ""
    assert refused.stderr.splitlines()[-1].endswith(
        "*** PROFILE=nope is not allowed; allowed: embedded, mini, paper.  Stop.")
    assert len(refused.stderr.splitlines()) == 1
    assert not (ROOT / "_build" / "logs" / "nope").exists()


def test_a_page_is_made_again_when_library_or_data_change_and_not_when_they_are_touched(tmp_path):
    page = "_build/executed/embedded/31_cost.ipynb"
    shutil.copy(ROOT / "Snakefile", tmp_path)
    for name in ("notebooks/31_cost.ipynb", "lib/unidelta/a.py", "data/a.csv", "index.md", "_config.yml", "_toc.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('"first"')

    def to_make() -> str:
        found = subprocess.run([sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "--nolock", page],
                               cwd=tmp_path, text=True, capture_output=True)
        assert found.returncode == 0, found.stderr
        return found.stdout + found.stderr

    assert "execute" in to_make()
    (tmp_path / page).parent.mkdir(parents=True)
    (tmp_path / page).write_text("made")
    for name in ("lib/unidelta/a.py", "data/a.csv"):
        os.utime(tmp_path / name)
    assert "Nothing to be done" in to_make()
    for name in ("lib/unidelta/a.py", "data/a.csv"):
        (tmp_path / name).write_text("other")
        assert "execute" in to_make(), name
        os.utime(tmp_path / page)


STUDY_OF = {"18": "stage1_again", "19": None, "20": "more_seeds", "21": "more_seeds/multi_task_unchanged",
            "22": "many_weight", "24": "wider_mixtures", "25": "wider_search",
            "26": "spread_seeds", "27": "spread_draws", "28": None, "29": "objective", "30": "more_planes",
            "31": "objective_draws", "32": "spread_planes"}


def test_questions_that_are_said_to_be_written_down_beforehand_were():
    """Each step was in the page on choices, in the commit that it names, before its study's results were committed."""
    said = (ROOT / "book" / "choices.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"From step 18 on the commits can be looked\nat (.*?)\.\n\n", said, re.DOTALL)
    named = dict(re.findall(r"(\d\d) in\s+([0-9a-f]{7})", told))
    assert named.keys() == STUDY_OF.keys()

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, text=True, capture_output=True, check=True).stdout

    try:
        git("cat-file", "-e", f"{named['18']}^{{commit}}")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a clone with its whole history")
    for step, commit in named.items():
        assert re.search(rf"^{step}\. \*\*", git("show", f"{commit}:book/choices.md"), re.MULTILINE), step
        if STUDY_OF[step] is None:  # not a study of its own
            continue
        results = f"data/results/{STUDY_OF[step]}"
        assert not git("ls-tree", commit, results), f"step {step}: there were results"
        assert git("log", "--format=%h", f"{commit}..HEAD", "--", results), step


def test_make_studies_names_every_study_but_the_one_that_needs_a_mirror():
    (named,) = re.findall(r"^STUDIES := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named.split()) == sorted(set(STUDIES) - {"real_rows"})


def test_licence():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License")
    assert "the unidelta authors" in text


def test_nothing_of_one_machine():
    # Written in two halves, so that this file does not contain what it looks for.
    forbidden = ["/work" + "/", "/root" + "/", "/home" + "/", "index" + "-url", "pypi" + ".org", "anaconda" + ".org"]
    for path in tracked():
        if path.suffix in {".png", ".safetensors", ".ico"}:
            continue
        if path.suffix == ".zip":
            with ZipFile(path) as packed:
                texts = [packed.read(name).decode() for name in packed.namelist()]
        else:
            texts = [path.read_text(encoding="utf-8")]
        found = [word for word in forbidden if any(word in text for text in texts)]
        assert not found, f"{path.relative_to(ROOT)} contains {found}"


def test_every_module_can_be_read_in_one_sitting():
    long = {path.name: n for path in (ROOT / "lib").rglob("*.py")
            if (n := len(path.read_text(encoding="utf-8").splitlines())) > 300}
    assert not long, "split them"


def test_no_data_sets_and_no_pickles():
    for path in tracked():
        assert path.suffix not in {".parquet", ".arrow", ".pkl", ".pt", ".pth", ".bin", ".npy"}, path
        assert path.stat().st_size <= 8 * 2**20, f"{path.relative_to(ROOT)} is larger than 8 MiB"


def parameters_cell(notebook) -> str:
    found = [cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(found) == 1, "exactly one cell is tagged `parameters`"
    return found[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_every_parameter_has_a_comment(self, path):
        source = parameters_cell(nbformat.read(path, as_version=4))
        lines = source.splitlines()
        for statement in ast.parse(source).body:
            assert isinstance(statement, ast.Assign), "plain assignments"
            assert isinstance(statement.targets[0], ast.Name), "plain assignments"
            ast.literal_eval(statement.value)
            assert "  # " in lines[statement.end_lineno - 1], f"no comment beside {statement.targets[0].id}"

    def test_is_thin(self, path):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                for node in ast.walk(ast.parse(re.sub(r"^[%!].*$", "", cell.source, flags=re.MULTILINE))):
                    if isinstance(node, ast.FunctionDef):
                        assert node.end_lineno - node.lineno < 10, f"{node.name} belongs in the library"

    def test_is_committed_whole(self, path):
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata.kernelspec.name == "python3"
        assert "papermill" not in notebook.metadata, "timings of one run do not belong in the repository"
        code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
        assert code
        assert any(cell.outputs for cell in code), "committed with its outputs"
        assert not [o for cell in code for o in cell.outputs if o.output_type == "error"], "no failed cell"
        assert all(cell.execution_count for cell in code), "every cell was run"


def test_the_planes_computed_beforehand_are_those_that_the_chapters_show():
    build = (ROOT / "Snakefile").read_text(encoding="utf-8")
    planes, rows = (ast.literal_eval(re.search(r"^PLANES = (.*)$", build, re.M)[1]),
                    int(re.search(r"--plane (\d+)", build)[1]))
    assert all(suite.train_for(task) == train for task, train in planes.items())
    for name, which in (("15_landscape", "tasks"), ("16_claims", "planes")):
        first = next(c.source for c in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4).cells
                     if c.cell_type == "code")
        assert f'{which} = "{",".join(planes)}"' in first, name
        assert re.search(rf"^rows = {rows} ", first, re.M), name


@pytest.mark.parametrize("profile", ["embedded", "mini", "paper"])
def test_with_another_profile_chapters_compute_unless_they_are_about_the_small_backbones(profile):
    build = (ROOT / "Snakefile").read_text(encoding="utf-8")
    known = {"PROFILE": profile, "Path": lambda path: ROOT / path}
    exec(re.search(r"^OF_DRAWS = .*$", build, re.M)[0], known)  # noqa: S102
    exec(re.search(r"^def profile_of.*?(?=\n\n\n)", build, re.M | re.S)[0], known)  # noqa: S102
    given = {name: known["profile_of"](SimpleNamespace(name=name)) for name in (path.stem for path in NOTEBOOKS)}
    if profile == "embedded":
        assert set(given.values()) == {""}
    else:
        assert {name for name, text in given.items() if "-p profile" not in text} >= {"25_backbones", "27_settings"}
        assert given["17_multi_task"] == f"-p profile {profile} -p archive none"
        assert given["03_transfer"] == f"-p profile {profile}"


@pytest.mark.parametrize("does", ["pass", "unidelta.stages.Run.open('embedded').data('scitail', 0)"])
def test_pages_of_results_that_are_there_do_not_load_the_models(does, tmp_path):
    """Loading them would take half of the time that such a page needs to start."""
    code = (f"import sys, unidelta.report, unidelta.stages, unidelta.studies; {does}; "
            "sys.exit('transformers.models.t5.modeling_t5' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT / "lib",
                          env=os.environ | {"UNIDELTA_RUNS": str(tmp_path)}).returncode == 0
