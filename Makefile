# The two commands of the README: `make demo` and `make test`. Both work in a fresh clone with Python 3.11, g++ and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SOURCES = pyproject.toml README.md $(shell find potentials export lammps_plugin -type f -not -name '*.pyc')

.PHONY: demo test install lint types clean

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .

types: $(VENV)/.installed-test
	$(BIN)/mypy -p rhopot.potentials -p rhopot.export -p rhopot.lammps_plugin

install: $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python $(SOURCES)
	$(BIN)/python -m pip install --quiet .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet '.[test,dev]'
	touch $@

clean:
	rm -rf build $(VENV)
