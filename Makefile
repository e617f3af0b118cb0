# The commands of the README. Everything is installed into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
# One thread a process: the tests and benchmarks run in parallel processes, and small networks gain nothing from more.
LOCALE := src/segfair/report/signing/locale
THREADS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

WATCHED := $(THREADS) COVERAGE_FILE=$(CURDIR)/build/coverage/found $(BIN)/python

.PHONY: demo demo-mitigate test lint format docs notebooks pictures bench same schemas catalogue fuzz mutants coverage clean

demo: $(VENV)/installed  ## build the embedded cohort, audit it, say where the report lies
	$(BIN)/segfair phantom demo/cohort
	$(BIN)/segfair audit demo/cohort/preds demo/cohort/labels demo/cohort/metadata.csv --out demo/report

demo-mitigate: $(VENV)/installed-mitigate  ## train plainly, with fairmedseg and with adaptive-sampling; at most 4 minutes
	$(THREADS) $(BIN)/segfair mitigate --backbone unet --strategy fairmedseg --strategy adaptive-sampling --out demo/mitigation
	@$(BIN)/python benchmarks/recorded.py

test: $(VENV)/installed-test  ## all tests
	$(THREADS) $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed-test  ## style, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

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
	for script in $(filter-out benchmarks/byte_for_byte.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(THREADS) $(BIN)/python $$script || exit 1; done

same: $(VENV)/installed-test  ## BEFORE=FOLDER: whether files differ from those that another version recorded there
	$(BIN)/python benchmarks/byte_for_byte.py compare $(BEFORE)

schemas: $(VENV)/installed-test  ## the JSON Schemas of the documentation, from the types
	$(BIN)/python -m segfair.audit.result.schema docs/reference/audit.schema.json
	$(BIN)/python -m segfair.compare.schema docs/reference/comparison.schema.json
	$(BIN)/python -m segfair.rank.schema docs/reference/rank.schema.json

catalogue: $(VENV)/installed-test  ## the messages of the summary: gathered, and those of each language compiled
	$(BIN)/pybabel --quiet extract -F pyproject.toml -k say -k say_n:1,2 --no-location --sort-output -o $(LOCALE)/signing.pot .
	$(BIN)/pybabel --quiet update -D signing -i $(LOCALE)/signing.pot -d $(LOCALE) --ignore-obsolete --ignore-pot-creation-date --no-fuzzy-matching
	$(BIN)/pybabel --quiet compile -D signing -d $(LOCALE)
	rm $(LOCALE)/signing.pot

fuzz: $(VENV)/installed-test  ## the property tests with many more examples
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

$(VENV)/installed-docs: $(VENV)/installed-test
	$(PIP) -e ".[docs]"
	@touch $@

clean:
	rm -rf $(VENV) demo build dist
