# Every target makes the environment that it needs in .venv; only python3, make and a package index are required.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test test-all lint docs bench release clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable '.[all]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/.docs: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable '.[docs]'
	@touch $@

demo: $(VENV)/.demo  ## Install and forecast real people; prints where the reports are
	$(BIN)/python demo/run.py

test: $(VENV)/.dev  ## Run the tests (under 10 minutes on 2 cores)
	$(BIN)/python -m pytest --numprocesses 2

test-all: $(VENV)/.dev  ## Run the slow tests too, then show that tests catch faults
	$(BIN)/python -m pytest --numprocesses 2 -m "slow or not slow"
	$(BIN)/python scripts/mutations.py

lint: $(VENV)/.dev  ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs  ## Build the documentation; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.dev  ## Time the engine on the shipped model
	$(BIN)/python benchmarks/run.py

release:  ## Check the version, build both artefacts, install them in clean environments
	$(PYTHON) scripts/release.py

clean:  ## Remove the environment and everything built
	rm -rf $(VENV) dist docs/_build docs/reference/generated demo/output .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
