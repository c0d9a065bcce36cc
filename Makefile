# Everything from a machine with only python3 and make: `make train`, `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip reads dependency groups (PEP 735) since 25.1.
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: train test test-all lint docs clean

train: $(VENV)/installed
	$(BIN)/python examples/train_affectnet.py $(ARGS)

test: $(VENV)/tested
	$(BIN)/python -m pytest

# The exhaustive tests too: longer fuzzing, huge folders, every command of the documentation.
test-all: $(VENV)/tested
	$(BIN)/python -m pytest -m ''

lint: $(VENV)/linted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/tested: pyproject.toml $(VENV)/installed
	$(PIP) install --quiet --group test
	touch $@

$(VENV)/linted: pyproject.toml $(VENV)/tested
	$(PIP) install --quiet --group lint
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
