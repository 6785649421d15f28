# Two commands do everything on a machine with Python 3.11+, pip and make:   make book   make test
# Paths are relative and quoted: the project works in a folder whose name has spaces.

SHELL   := /bin/bash
.DEFAULT_GOAL := help
PROFILE ?= embedded
JOBS    ?= 2
PY      := .venv/bin/python
STAMP   := .venv/.installed

# One thread per process (JOBS processes run at once), nothing sent home, and no stray packages from outside .venv.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= $(OMP_NUM_THREADS)
export OPENBLAS_NUM_THREADS ?= $(OMP_NUM_THREADS)
# Let glibc keep the memory of a step's tensors: otherwise it gives the memory back to the system and asks for it again
# at the next step.
export MALLOC_MMAP_THRESHOLD_ ?= 2147483648
export MALLOC_TRIM_THRESHOLD_ ?= 8589934592
export TOKENIZERS_PARALLELISM := false
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export PYTHONUTF8 := 1
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH
# Python keeps what it has compiled, even in a shell that says otherwise: pip compiles nothing here (see below), and
# every process would compile anew all that it imports, which takes longer than the import itself.
unexport PYTHONDONTWRITEBYTECODE
ifeq "$(filter embedded mini paper,$(PROFILE))" ""
$(error PROFILE=$(PROFILE) is not allowed; allowed: embedded, mini, paper)
endif
ifeq "$(PROFILE)" "embedded"
export HF_HUB_OFFLINE := 1
export HF_DATASETS_OFFLINE := 1
endif

# pip compiles nothing (--no-compile): Python does so for what is imported, a small part, and that is sooner done.
# The environment is installed again when its pins change, or when the folder was moved or copied with its .venv.
ifneq "$(shell cat $(STAMP) 2>/dev/null)" "$(CURDIR)"
.PHONY: $(STAMP)
endif

.PHONY: help environment book test unit notebooks studies bench lint clean distclean

help:            ## what can be made
	@awk -F ':.*## *' '/^[a-z]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile
	@echo "options: PROFILE=$(PROFILE) (embedded, mini, paper)  JOBS=$(JOBS)  PYTHON=<interpreter for .venv>"

environment: $(STAMP)   ## create .venv with the pinned packages (done by the others when needed)

$(STAMP): pyproject.toml requirements.txt
	@find_python() { \
	  for python in $${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$python"; return; fi; \
	  done; \
	  echo "make: no Python 3.11 or newer among: $${PYTHON:-python3 python3.13 python3.12 python3.11 python}. Name one: make book PYTHON=/path/to/python3" >&2; \
	  return 1; }; \
	set -e; python=$$(find_python); \
	echo "Installing the environment into .venv with $$("$$python" --version) (once; a few minutes) ..."; \
	if [ "$$(cat $(STAMP) 2>/dev/null)" != "$(CURDIR)" ]; then rm -rf .venv; fi; \
	if "$$python" -c 'import ensurepip' >/dev/null 2>&1; then \
	  "$$python" -m venv .venv; pip=($(PY) -m pip); \
	else \
	  "$$python" -m venv --without-pip .venv; pip=("$$python" -m pip --python $(PY)); \
	fi; \
	"$${pip[@]}" install -qq --no-compile --disable-pip-version-check -c requirements.txt -e '.[book,test,bench]'; \
	printf '%s' "$(CURDIR)" > $(STAMP); \
	echo "Environment ready."

book: $(STAMP)   ## run every notebook and render the book to _build/html/index.html
	@PATH="$$PWD/.venv/bin:$$PATH" $(PY) -m snakemake --cores $(JOBS) --config profile=$(PROFILE) --quiet all \
	  --prioritize _build/runs/$(PROFILE)/dream.done _build/runs/$(PROFILE)/glue-mnli.done --rerun-incomplete --nolock --show-failed-logs
	@echo "The book: _build/html/index.html"

test: $(STAMP)   ## unit tests, then the book, then the committed notebooks' outputs and the rendered pages
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory book
	@$(MAKE) --no-print-directory notebooks

unit: $(STAMP)   ## ruff, then the unit tests (a few minutes)
	$(PY) -m ruff check lib tests benchmarks
	$(PY) -m pytest -n $(JOBS) --dist worksteal --ignore tests/test_book.py

notebooks: $(STAMP)   ## re-run the committed notebooks and compare their outputs; open the rendered pages
	UNIDELTA_BOOK=required $(PY) -m pytest -n $(JOBS) --dist loadscope tests/test_book.py --nbval notebooks --nbval-sanitize-with tests/nbval.cfg

# Without real_rows, which needs a mirror: python -m unidelta.studies real_rows --profile mini --mirror FOLDER
STUDIES := multi_task backbones more_seeds reconstruction simplified dimension trained_directions finetune fidelity objective second_group absolute planes more_planes spread_planes long_answers settings many_settings many_weight stage1_settings stage1_again wider_mixtures wider_search spread spread_seeds spread_draws objective_draws

studies: $(STAMP)  ## recompute the book's archived results, in data/results (well over eight hours; a killed run resumes)
	@printf '%s\n' $(STUDIES) | xargs -n 1 -P $(JOBS) $(PY) -m unidelta.studies

bench: $(STAMP)  ## measure speed again (twenty to thirty minutes on an idle machine); results in data/benchmarks
	$(PY) benchmarks/suite.py

lint: $(STAMP)   ## ruff over the library, the tests and the benchmarks
	$(PY) -m ruff check lib tests benchmarks

clean:           ## remove what was built (keeps runs/ and .venv)
	rm -rf _build .snakemake .pytest_cache .ruff_cache

distclean: clean ## also remove the computed results and the environment
	rm -rf runs .venv lib/*.egg-info
