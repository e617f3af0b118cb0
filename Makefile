# The commands of the README. Everything is installed into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What looks at the package from outside, apart from what the package itself needs.
TOOLS := $(VENV)-tools
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
# How long `make fuzz` takes for each reader.
MINUTES ?= 15
LOCALE := src/segfair/report/signing/locale
LOWEST_TOOLS := babel build divexplorer filelock hatchling huggingface_hub hypothesis markdown-it-py pypdf pytest pytest-xdist
# Everything but what needs torch, what reads the pages of the documentation, and what tests the tests.
AUDIT_TESTS := $(filter-out tests/mitigation tests/loops tests/docs tests/browser tests/catalogue tests/mutation tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/))) \
  tests/test_architecture.py tests/test_cases.py tests/test_documents.py tests/test_errors.py tests/test_gold.py tests/test_remote.py tests/test_trees.py
# One thread a process: the tests and benchmarks run in parallel processes, and small networks gain nothing from more.
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

WATCHED := $(THREADS) COVERAGE_FILE=$(CURDIR)/build/coverage/found $(BIN)/python

.PHONY: demo demo-mitigate test lint format build lowest docs notebooks pictures bench same schemas catalogue chaos fuzz mutants coverage clean

demo: $(VENV)/installed  ## build the embedded cohort, audit it, say where the report lies
	$(BIN)/segfair phantom demo/cohort
	$(BIN)/segfair audit demo/cohort/preds demo/cohort/labels demo/cohort/metadata.csv --out demo/report

demo-mitigate: $(VENV)/installed-mitigate  ## train plainly, with fairmedseg and with adaptive-sampling; at most 4 minutes
	$(THREADS) $(BIN)/segfair mitigate --backbone unet --strategy fairmedseg --strategy adaptive-sampling --out demo/mitigation
	@$(BIN)/python benchmarks/recorded.py

test: $(VENV)/installed-test  ## all tests
	$(THREADS) $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed-test $(TOOLS)/installed  ## style, types, architecture, what a scanner finds, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src tools website
	$(TOOLS)/bin/python tools/vulnerabilities.py tools/vulnerabilities.toml constraints.txt

build: $(VENV)/installed-test $(TOOLS)/installed  ## dist: wheel, source archive, what is in it (SBOM); installed and tried in an environment of its own
	rm -rf dist build/clean
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(PYTHON) -m venv build/clean
	build/clean/bin/pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd build && ../build/clean/bin/python ../tools/smoke.py clean
	$(TOOLS)/bin/cyclonedx-py environment build/clean/bin/python --pyproject pyproject.toml --mc-type library \
	  --output-reproducible --output-file $$(ls dist/*.whl | sed 's/-py3-none-any.whl/.cdx.json/')
	@ls dist

lowest:  ## the tests of the audit with the lowest versions that are supported
	$(PYTHON) -m venv build/lowest
	build/lowest/bin/pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e ".[pdf,cloud,dask]" $(LOWEST_TOOLS)
	# An old typer needs more lines for its frames.
	$(THREADS) build/lowest/bin/python -m pytest -n 2 --dist worksteal $(AUDIT_TESTS) \
	  --deselect tests/cli/test_terminal.py::test_help_is_about_one_screen

format: $(VENV)/installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/installed-docs  ## the site in build/site, with its reports and notebooks; all of its code blocks and links
	rm -rf build/made build/site
	$(THREADS) $(BIN)/python website/made.py build/made
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(THREADS) $(BIN)/python -m pytest -n 2 --dist worksteal tests/docs --slow --site build/site
	@echo "build/site/index.html, or with search: $(BIN)/python -m http.server -d build/site"

notebooks: $(VENV)/installed-docs  ## the notebooks of examples/, from top to bottom
	$(THREADS) $(BIN)/python -m pytest -n 2 --nbmake --nbmake-timeout=600 examples

pictures: $(VENV)/installed-docs  ## docs/images anew, from reports made now
	$(THREADS) $(BIN)/python website/pictures.py docs/images

bench: $(VENV)/installed-test  ## the figures of the documentation (long)
	for script in $(filter-out benchmarks/byte_for_byte.py benchmarks/chaos.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(THREADS) $(BIN)/python $$script || exit 1; done

same: $(VENV)/installed-test  ## BEFORE=FOLDER: whether files differ from those that another version recorded there
	$(BIN)/python benchmarks/byte_for_byte.py compare $(BEFORE)

schemas: $(VENV)/installed-test  ## the JSON Schemas of the documentation, from the types
	$(BIN)/python -m segfair.audit.result.schema docs/reference/audit.schema.json
	for name in comparison cohorts monitor; do $(BIN)/python -m segfair.compare.schema $$name docs/reference/$$name.schema.json; done
	$(BIN)/python -m segfair.rank.schema docs/reference/rank.schema.json

catalogue: $(VENV)/installed-test  ## the messages of the summary: gathered, and those of each language compiled
	$(BIN)/pybabel --quiet extract -F pyproject.toml -k say -k say_n:1,2 --no-location --sort-output -o $(LOCALE)/signing.pot .
	$(BIN)/pybabel --quiet update -D signing -i $(LOCALE)/signing.pot -d $(LOCALE) --ignore-obsolete --ignore-pot-creation-date --no-fuzzy-matching
	$(BIN)/pybabel --quiet compile -D signing -d $(LOCALE)
	rm $(LOCALE)/signing.pot

chaos: $(VENV)/installed-test  ## kills at random moments, full disks, little memory: nothing is lost (20 minutes)
	$(THREADS) $(BIN)/python benchmarks/chaos.py --write docs/reliability.md

fuzz: $(VENV)/installed-fuzz  ## MINUTES=15: each reader under coverage-guided inputs for so long; property tests with 2,000 examples each
	$(THREADS) $(BIN)/python -m tests.fuzz.run --minutes $(MINUTES) --page docs/reliability.md
	$(THREADS) HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -n 2 -m hypothesis

mutants: $(VENV)/installed-test  ## COUNT=400: faults put into a copy of what computes, and how many the tests notice (an hour)
	$(THREADS) $(BIN)/python -m tests.mutation --count $(or $(COUNT),400)

coverage: $(VENV)/installed-test  ## all tests, watched: which branches none of them takes
	rm -rf build/coverage
	# Which modules a command loads cannot be watched: the watching loads some itself.
	$(WATCHED) -m coverage run -m pytest -n 2 --dist worksteal --ignore tests/cli/test_startup.py
	# What is compiled is seen by nobody: its tests once more, as plain Python.
	NUMBA_DISABLE_JIT=1 $(WATCHED) -m coverage run -m pytest tests/scoring/test_surfaces.py tests/scoring/test_boxes.py
	$(WATCHED) -m coverage combine --quiet
	$(WATCHED) -m coverage html --quiet --directory build/coverage/html
	$(WATCHED) -m coverage report

$(VENV)/python: 
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "segfair needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/python
	$(PIP) -e .
	@touch $@

$(VENV)/installed-mitigate: $(VENV)/installed
	$(PIP) -e ".[mitigate]"
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) -e ".[mitigate,test,lint]"
	@touch $@

$(TOOLS)/installed: constraints.txt | $(VENV)/python
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt cyclonedx-bom pip-audit
	@touch $@

$(VENV)/installed-fuzz: $(VENV)/installed-test
	$(PIP) -e ".[fuzz]"
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed-test
	$(PIP) -e ".[docs]"
	@touch $@

clean:
	rm -rf $(VENV) $(TOOLS) demo build dist
