# `make quickstart` and `make test` set up their own virtual environment.
# PYTHON=python3.12 (or 3.13) chooses the newer lane, in a folder of its own.

PYTHON ?= python3.11
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ifeq ($(VERSION),)
$(error $(PYTHON) does not run; name a Python 3.11, 3.12 or 3.13: make PYTHON=...)
endif
# Pages are built and notebooks run on the default lane: once is enough.
ifeq ($(VERSION),3.11)
VENV := .venv
EXTRAS := test,docs
ONCE := types docs check-notebooks
else
VENV := .venv-$(VERSION)
EXTRAS := test
endif
BIN := $(VENV)/bin
QUICKSTART_DIR ?= quickstart

.PHONY: install test pytest test-fast lint types docs notebooks check-notebooks quickstart clean

install: $(VENV)/installed

$(VENV)/installed: requirements.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	touch $@

# Side by side, but not on all cores of a large machine: a process with
# TensorFlow takes up to 3 GiB. Files in their own order: otherwise those with
# few tests, which train longest, come last and leave cores idle.
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 \
    --dist=loadfile --no-loadscope-reorder

# Checks of one process run next to the tests, so that no core is idle.
test: install
	$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target \
	    lint pytest $(ONCE)

pytest: install
	$(PYTEST)

# Without what takes more than two seconds: for while you write.
test-fast: install
	$(PYTEST) -m "not slow"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# The report in it is made again when what draws it has changed.
EXAMPLE := build/example/pages/example_report.html
$(EXAMPLE): $(shell find ben_tf/report ben_tf/pages ben_tf/plots -name '*.*') \
    | install
	@mkdir -p build/example
	@echo "Trains on a small sample and makes the example report, once:"
	$(BIN)/python docs/make_example.py > build/example.log 2>&1 \
	    || { cat build/example.log; exit 1; }

docs: install $(EXAMPLE)
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs build/docs
	$(BIN)/python -m pytest tests/docs/built_pages.py
	@echo "The documentation is in build/docs/index.html"

# Runs all notebooks anew and keeps what they show.
notebooks: install
	rm -rf notebooks/runs notebooks/sample
	$(BIN)/python notebooks/execute.py

check-notebooks: install
	$(BIN)/python notebooks/execute.py --check

quickstart: install
	$(BIN)/python -m ben_tf.quickstart --output_dir=$(QUICKSTART_DIR)

clean:
	rm -rf .venv* build *.egg-info quickstart notebooks/runs notebooks/sample
	rm -rf .pytest_cache .ruff_cache .mypy_cache
