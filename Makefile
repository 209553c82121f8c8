# `make quickstart` and `make test` set up their own virtual environment.
# PYTHON=python3.12 (or 3.13) chooses the newer lane, in a folder of its own.

PYTHON ?= python3.11
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ifeq ($(VERSION),)
$(error $(PYTHON) does not run; name a Python 3.11, 3.12 or 3.13: make PYTHON=...)
endif
VENV := $(if $(filter 3.11,$(VERSION)),.venv,.venv-$(VERSION))
BIN := $(VENV)/bin
QUICKSTART_DIR ?= quickstart

.PHONY: install test quickstart clean

install: $(VENV)/installed

$(VENV)/installed: requirements.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

quickstart: install
	$(BIN)/python -m ben_tf.quickstart --output_dir=$(QUICKSTART_DIR)

clean:
	rm -rf .venv* build *.egg-info quickstart .pytest_cache .ruff_cache
