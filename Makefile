# Each target makes .venv and installs what it needs, and is quick when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test test-lowest test-newest lint bench clean

demo: $(STAMP)
	$(BIN)/foretoken run studies/quickstart.toml

# Tests start many processes: what is imported is compiled once, whatever the environment says, and never what is not.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python benchmarks/ladder.py
	$(BIN)/python benchmarks/coverage.py --tables 10

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-newest build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# What is pinned is installed without asking what fits together, which takes a fifth of the time; then what is missing.
$(STAMP): pyproject.toml constraints.txt src/foretoken/_version.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check --no-deps -r constraints.txt
	$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
