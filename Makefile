# The two commands of the README: `make demo` and `make test`. Both work in a fresh clone with Python 3.11, g++ and make.
# The wheel is built in the environment it runs in (no build isolation): torch is unpacked once, and a change rebuilds only
# what it touches.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
SOURCES = pyproject.toml $(shell find potentials export lammps_plugin -type f -not -name '*.pyc')
REQUIREMENTS = $(BIN)/python -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb")); \
	extras = project["project"]["optional-dependencies"]; \
	print(*(project["build-system"]["requires"] if sys.argv[1] == "build" else extras[sys.argv[1]]), sep="\n")'

.PHONY: demo test lint types install clean

demo: install
	$(BIN)/python examples/demo.py

# A file of tests stays with one worker, which makes its models once. Four ranks of LAMMPS keep four cores busy: not more
# workers than that.
test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.tools
	$(BIN)/ruff check .

types: install $(VENV)/.tools
	$(BIN)/mypy -p rhopot.potentials -p rhopot.export -p rhopot.lammps_plugin

install: $(VENV)/.installed

$(VENV)/.build-tools: pyproject.toml
	@echo "== $(VENV): torch, cmake and what else the build needs"
	$(PYTHON) -m venv $(VENV)
	$(REQUIREMENTS) build > $(VENV)/build.txt
	$(PIP) install --quiet -r $(VENV)/build.txt
	touch $@

# One line for each file that is compiled; all that pip says is in build.log.
$(VENV)/.installed: SHELL = /bin/bash
$(VENV)/.installed: $(VENV)/.build-tools $(SOURCES)
	@echo "== $(VENV): compiling the operators, once per instruction set, and the LAMMPS plugin; installing"
	@set -o pipefail; $(PIP) install --verbose --no-build-isolation . 2>&1 | tee $(VENV)/build.log | \
	awk '/^ *\[[0-9]+\/[0-9]+\] / { print; fflush() }' || { tail -n 40 $(VENV)/build.log; exit 1; }
	touch $@

$(VENV)/.tools: $(VENV)/.build-tools
	$(REQUIREMENTS) test > $(VENV)/tools.txt
	$(REQUIREMENTS) dev >> $(VENV)/tools.txt
	$(PIP) install --quiet -r $(VENV)/tools.txt
	touch $@

clean:
	rm -rf build $(VENV)
