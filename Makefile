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
	$(PYTHON) -m venv $(VENV)
	$(REQUIREMENTS) build > $(VENV)/build.txt
	$(PIP) install --quiet -r $(VENV)/build.txt
	touch $@

$(VENV)/.installed: $(VENV)/.build-tools $(SOURCES)
	$(PIP) install --quiet --no-build-isolation .
	touch $@

$(VENV)/.tools: $(VENV)/.build-tools
	$(REQUIREMENTS) test > $(VENV)/tools.txt
	$(REQUIREMENTS) dev >> $(VENV)/tools.txt
	$(PIP) install --quiet -r $(VENV)/tools.txt
	touch $@

clean:
	rm -rf build $(VENV)
