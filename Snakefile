# The book as a graph of files: runs -> executed notebooks -> staged source -> HTML.  `make book` calls this.
#
#   runs/<profile>/...                    results of the stages, written by unidelta.store, never removed by Snakemake
#   _build/content.sha256                 what the library and the data hold; written when they changed
#   _build/runs/<profile>/<run>.done      stamps: the named run is in the store
#   _build/executed/<profile>/<name>.ipynb  a notebook with the outputs of this build
#   _build/source/                        what jupyter-book reads: pages, figures, configuration, executed notebooks
#   _build/html/                          the book
#
# The store decides what is computed (its keys hash everything that determines a result); Snakemake only decides
# what is looked at again, so a changed file costs seconds, not training time.
from hashlib import sha256
from pathlib import Path

PROFILE = config.get("profile", "embedded")
NOTEBOOKS = sorted(path.stem for path in Path("notebooks").glob("*.ipynb"))
PAGES = ["index.md", "_config.yml", "_toc.yml",
         *sorted(str(path) for path in Path("book").rglob("*") if path.is_file())]

# Every run and notebook depends on all of the library and the data. Some 700 more inputs of every job would cost
# Snakemake more time than several notebooks take. This is one, which changes when what they hold does.
CONTENT = Path("_build/content.sha256")
held = sha256()
for path in sorted([*Path("lib/unidelta").rglob("*.py"), *filter(Path.is_file, Path("data").rglob("*"))]):
    held.update(f"{path}\0{path.stat().st_size}\0".encode() + path.read_bytes())
if not CONTENT.is_file() or CONTENT.read_text() != held.hexdigest():
    CONTENT.parent.mkdir(exist_ok=True)
    CONTENT.write_text(held.hexdigest())

# name -> arguments of `python -m unidelta.run`. There is one job per training task of the single-task setting, the
# longest first, so that the jobs fill the cores before the notebooks start. The notebooks read what the jobs leave in
# the store, and compute what is missing.
RUNS = {name: f"--train {name} --seeds 0,1,2"
        for name in ["dream", "glue-mnli", "glue-sst2", "superglue-wic", "glue-qqp"]}

# The planes of chapters 15 and 16: unseen task -> the run that makes its subspace. They are jobs of their own, so that
# neither chapter waits for the other.
PLANES = {"scitail": "glue-mnli"}

# Chapters that need no run, because they show what is archived or stored. They fill the cores while the last runs end.
STORED = {"00_backbone", "04_tasks", "13_second_group", "14_real_rows", "17_multi_task", "18_dimension", "19_finetune",
          "20_data", "21_simplified", "22_absolute", "24_fidelity", "25_backbones", "26_long_answers", "27_settings",
          "29_noise", "30_speed", "31_cost"}

# Chapters about the backbones that ship with the project and its settings for them. They show what is archived,
# whatever the profile: nothing of it is a question at another size.
OF_DRAWS = {"25_backbones", "27_settings"}

# Chapters that show one training task, glue-sst2, and wait for no other.
ONE = {"01_approximate", "02_optimize", "03_transfer", "05_by_hand"}

# A job says when it starts and how long it took. Its own output goes to its log, whose end is shown if the job fails.
JOB = """start=$SECONDS; echo "{what} ..." >&2
if {do}; then echo "{what} done in $((SECONDS - start)) s"
else echo "{what} FAILED, see {{log}}, which ends:"; tail -n 30 {{log}}; exit 1; fi >&2"""


def profile_of(wildcards):
    """Return the `-p ...` options for a profile that is not the notebooks' own default.

    Each is given only if the notebook has that parameter. What is archived belongs to the default, so no archive is
    used with another profile, except on pages about the default.
    """
    if PROFILE == "embedded" or wildcards.name in OF_DRAWS:
        return ""
    cells = Path(f"notebooks/{wildcards.name}.ipynb").read_text(encoding="utf-8")
    given = {"profile": PROFILE, "archive": "none"}
    return " ".join(f"-p {name} {value}" for name, value in given.items() if f'"{name} = ' in cells)


def needs(wildcards):
    """Return the stamps of what a chapter shows."""
    if wildcards.name in ONE:
        return [f"_build/runs/{PROFILE}/glue-sst2.done"]
    planes = PLANES if wildcards.name in ("15_landscape", "16_claims") else []
    return [] if wildcards.name in STORED else [
        f"_build/runs/{PROFILE}/{done}.done" for done in [*RUNS, *(f"plane-{task}" for task in planes)]]


wildcard_constraints:
    name="[^/]+",
    run="|".join(RUNS),


rule book:
    input:
        "_build/html/index.html",


rule runs:
    priority: 1
    input:
        CONTENT,
    output:
        touch(f"_build/runs/{PROFILE}/{{run}}.done"),
    params:
        arguments=lambda wildcards: RUNS[wildcards.run],
    log:
        f"_build/logs/{PROFILE}/{{run}}.log",
    shell:
        JOB.format(
            what="run {wildcards.run}",
            do="python -m unidelta.run --profile {PROFILE} {params.arguments} > {log} 2>&1",
        )


rule plane:
    priority: 1
    input:
        CONTENT,
        lambda wildcards: f"_build/runs/{PROFILE}/{PLANES[wildcards.task]}.done",
    output:
        touch(f"_build/runs/{PROFILE}/plane-{{task}}.done"),
    params:
        train=lambda wildcards: PLANES[wildcards.task],
    log:
        f"_build/logs/{PROFILE}/plane-{{task}}.log",
    shell:
        JOB.format(
            what="plane {wildcards.task}",
            do="python -m unidelta.run --profile {PROFILE} --train {params.train} --tasks {wildcards.task} "
            "--seeds 0 --plane 50 > {log} 2>&1",
        )


rule execute:
    input:
        "notebooks/{name}.ipynb",
        CONTENT,
        needs,
    output:
        f"_build/executed/{PROFILE}/{{name}}.ipynb",
    params:
        profile=profile_of,
    log:
        f"_build/logs/{PROFILE}/{{name}}.log",
    shell:
        JOB.format(
            what="notebook {wildcards.name}",
            do="python -m papermill --kernel python3 --no-progress-bar {params.profile} {input[0]} {output}.part.ipynb "
            "> {log} 2>&1 && mv {output}.part.ipynb {output}",
        )


rule html:
    input:
        PAGES,
        notebooks=[f"_build/executed/{PROFILE}/{name}.ipynb" for name in NOTEBOOKS],
    output:
        "_build/html/index.html",
    log:
        "_build/logs/html.log",
    shell:
        JOB.format(
            what="pages",
            do="rm -rf _build/source _build/html _build/.doctrees && mkdir -p _build/source/notebooks "
            "&& cp -R index.md _config.yml _toc.yml book _build/source && cp {input.notebooks} _build/source/notebooks "
            "&& jupyter-book build _build/source --path-output . -W -n --keep-going --quiet > {log} 2>&1",
        )
