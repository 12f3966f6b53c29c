# Two commands on a fresh machine with Python 3.11+ and git: `make demo`, `make test`. Nothing else to configure.
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test test-full lint format environment wheel

demo:
	@$(PYTHON) scripts/bootstrap.py demo
	$(BIN)/mario run recipes/demo.toml

environment:
	@$(PYTHON) scripts/bootstrap.py test

test: environment
	$(BIN)/pytest -n auto -m "not full"

test-full: environment
	$(BIN)/pytest -n auto -m full

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: environment
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
