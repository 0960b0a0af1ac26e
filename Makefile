# Each target makes .venv and installs what it needs, and is quick when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test test-clusters test-lowest test-newest lint bench clean

demo: $(STAMP)
	$(BIN)/foretoken run studies/quickstart.toml

# Tests start many processes: what is imported is compiled once, whatever the environment says, and never what is not.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# One study on Ray, through submitit and on a SLURM of one node (apt-get install slurm-wlm munge); ten minutes.
test-clusters: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -c constraints-clusters.txt -e '.[ray,slurm]'
	OMP_NUM_THREADS=1 FORETOKEN_CLUSTERS=1 $(BIN)/pytest tests/launchers

# The tests that need no torch, with the lowest versions that pyproject.toml allows and with the newest there are, each in
# an environment of its own (PYTHON=python3.13 tries another Python). Of torch the newest is resolved, and not installed.
LIGHT := $(addprefix tests/,laws runs store designs plans checks routes data study/test_new_study.py \
	study/test_without_torch.py test_units.py test_errors.py test_arguments.py test_brief.py $(addprefix cli/test_,\
	bad_tables.py contract.py default_laws.py fit_and_predict.py html.py json_keys.py laws.py models.py options.py \
	plan_refusals.py printing.py tables.py tables_printed.py telling.py tokenizer.py))
define test_light
	$(PYTHON) -m venv --clear $(VENV)-$(1)
	$(VENV)-$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2) -e '.[test]' tokenizers zstandard
	OMP_NUM_THREADS=1 $(VENV)-$(1)/bin/pytest -n 2 --dist loadfile -W default $(LIGHT)
endef

test-lowest:
	mkdir -p build
	grep -oE '"[A-Za-z0-9-]+>=[0-9.]+"' pyproject.toml | tr -d '"' | sed 's/>=/==/' > build/lowest.txt
	$(call test_light,lowest,-c build/lowest.txt)

test-newest:
	$(call test_light,newest)
	$(VENV)-newest/bin/python -m pip install --disable-pip-version-check --dry-run '.[train]'

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
