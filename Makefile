# Everything happens in .venv, made on first use; PYTHON chooses another interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
export PYTHONDONTWRITEBYTECODE :=# compiled modules are kept: else each process of the tests compiles them anew

.PHONY: lab test lint types docs docs-check notebooks tests test-slow test-torch bench bench-peers clean

lab: $(STAMP)  ## the whole study on the packaged MNIST; report at lab/report.html
	$(BIN)/vaelab lab --out lab --resume

test: lint  ## everything that has to be green; types and docs are checked while the tests run
	$(MAKE) --no-print-directory -j 2 tests types docs-check

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(STAMP)

lint: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check src tests benchmarks docs

types: $(STAMP)
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

docs-check: $(STAMP)  ## the same pages and warnings, without a page of the source of each module
	$(BIN)/sphinx-build -q -W --keep-going -t check -b html docs docs/_build/check

notebooks: $(STAMP)  ## run the notebooks of docs/tutorials and keep their outputs
	$(BIN)/python docs/tutorials/execute.py

tests: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

TORCH ?= 2.14.1
OTHER := .venv-torch-$(TORCH)
# Tests that decide whether a version of torch works: fit, evaluate, --compile and resume, in an environment of its own.
test-torch:  ## make test-torch TORCH=2.14.1
	$(PYTHON) -m venv $(OTHER)
	grep -vE '^(torch|sympy|networkx|fsspec|filelock|jinja2|setuptools)==' constraints.txt > $(OTHER)/constraints.txt  # not what torch needs
	$(OTHER)/bin/python -m pip install --quiet --disable-pip-version-check -c $(OTHER)/constraints.txt \
	    torch==$(TORCH) -e . pytest pytest-timeout hypothesis
	OMP_NUM_THREADS=1 $(OTHER)/bin/python -m pytest -m torch_versions -o filterwarnings=default \
	    $$(grep -l torch_versions tests/*.py)

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow

bench: $(STAMP)
	$(BIN)/python benchmarks/estimators.py

bench-peers: $(STAMP)  ## the environment of the libraries that vaelab is timed against
	$(BIN)/python benchmarks/contenders/environment.py

clean:
	rm -rf $(VENV) .venv-torch-* docs/_build docs/api benchmarks/.peers
