# Each target does its own set-up: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
AUDIT := $(VENV)/audit

.PHONY: help demo test chaos fuzz audit lint format clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

demo: $(STAMP)  ## real and simulated machines through an embedded Kafka broker; alert cards in demo-report/
	$(BIN)/scrnn-stream demo --report demo-report

test: lint  ## lint, types, tests, doctests, and the kernels without their compiler
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest --doctest-modules scrnn_stream connectors
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest tests/test_network.py tests/test_picture.py tests/test_precision.py tests/test_judging.py \
		tests/test_extremes.py tests/test_season.py

chaos: $(STAMP)  ## workers and brokers of a real Kafka killed for half an hour: is everything told exactly once?
	$(BIN)/python -m benchmarks.chaos

fuzz: $(STAMP)  ## a million inputs that try to hurt, through every way in; some 20 minutes
	$(BIN)/python -m benchmarks.fuzz

audit: $(STAMP)  ## known vulnerabilities of what is installed; says so where nobody could be asked
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.7'
	$(BIN)/python -m benchmarks.audit $(AUDIT)/bin/python -m pip_audit

lint: $(STAMP)  ## style, insecure code, and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(STAMP)  ## format the code, and repair what can be repaired
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:  ## remove the environment, caches and reports
	rm -rf $(VENV) build dist *.egg-info demo-report .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "scrnn-stream needs Python 3.11 or newer; install one and run: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
