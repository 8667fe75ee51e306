# The two commands of the README: `make demo` and `make test`. Both work in a fresh clone with Python 3.11, g++ and make.
# The wheel is built in the environment it runs in (no build isolation): torch is unpacked once, and a change rebuilds only
# what it touches.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
SOURCES = pyproject.toml $(shell find potentials export lammps_plugin tests/testing -type f -not -name '*.pyc')
REQUIREMENTS = $(BIN)/python -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb")); \
	extras = project["project"]["optional-dependencies"]; \
	print(*(project["build-system"]["requires"] if sys.argv[1] == "build" else extras[sys.argv[1]]), sep="\n")'

CPP = $(shell find potentials lammps_plugin tests -name '*.cpp' -o -name '*.hpp' -o -name '*.h')

# Libraries that other wheels bring. A second copy of an OpenMP runtime, or of MPI, in one process would be a fault.
BROUGHT_BY_TORCH = libtorch*.so* libc10*.so* libgomp*.so*
BROUGHT_BY_LAMMPS = liblammps*.so* libmpi*.so*

.PHONY: demo test test-fast lint format types docs install wheel test-wheel sanitize clean

demo: install
	$(BIN)/python examples/demo.py

# A file of tests stays with one worker, which makes its models once; they are begun in the order of tests/conftest.py. Four
# ranks of LAMMPS keep four cores busy: not more workers than that.
test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Without what trains, starts other programs or computes for seconds: the marker `slow`, which tests/conftest.py explains.
test-fast: install $(VENV)/.tools
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not slow"

lint: $(VENV)/.tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CPP)

format: $(VENV)/.tools
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

types: install $(VENV)/.tools
	$(BIN)/mypy -p rhopot.potentials -p rhopot.export -p rhopot.lammps_plugin

# Guides, examples with their results, commands, settings and Python interface as pages to browse. Half a minute; a
# warning fails it. Nothing is fetched once the packages are installed.
docs: install $(VENV)/.tools
	$(BIN)/python examples/guide/site/build.py --output build/site

install: $(VENV)/.installed

# For machines without a compiler. auditwheel reads from the libraries which glibc they need, and names the wheel after it:
# built on an older distribution, it runs on older ones.
wheel: install $(VENV)/.wheel-tools
	@echo "== dist: packing"
	rm -rf dist/rhopot-*.whl $(VENV)/wheel
	$(PIP) wheel --quiet --no-build-isolation --no-deps --wheel-dir $(VENV)/wheel .
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/auditwheel repair --wheel-dir dist \
	$(foreach library,$(BROUGHT_BY_TORCH) $(BROUGHT_BY_LAMMPS),--exclude '$(library)') $(VENV)/wheel/*.whl
	@du -h dist/*.whl

# Installs the wheel where no compiler can be found, trains, and runs ASE and LAMMPS. A minute, most of it pip's.
test-wheel: wheel $(VENV)/.tools
	$(BIN)/python -m pytest --durations=0 tests/wheel_without_compiler.py

# Both libraries once more, with AddressSanitizer and UndefinedBehaviorSanitizer, in a folder of their own: the operators in a
# process without Python, and LAMMPS with the plugin. Minutes, most of them the compiler's. Needs g++.
sanitize: install $(VENV)/.tools
	@echo "== build/sanitize: compiling with sanitizers"
	$(BIN)/cmake -S lammps_plugin -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	-DPython_EXECUTABLE=$(abspath $(BIN))/python -DCMAKE_BUILD_TYPE=Debug -DRHOPOT_SANITIZE=ON
	$(BIN)/cmake --build build/sanitize
	$(BIN)/cmake --install build/sanitize --prefix build/sanitize/installed
	ln -sfn "$$($(BIN)/python -c 'import torch; print(torch.__path__[0])')" build/sanitize/installed/torch
	RHOPOT_SANITIZED=build/sanitize/installed $(BIN)/python -m pytest tests/sanitized.py

$(VENV)/.build-tools: pyproject.toml
	@command -v $(firstword $(CXX)) > /dev/null || \
	{ echo "make: CXX must be a C++ compiler, got $(CXX), which is not there; install g++ or name another with CXX=" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2> /dev/null || \
	{ echo "make: PYTHON must be Python 3.11, 3.12 or 3.13, got $(PYTHON); name one with PYTHON=" >&2; exit 1; }
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
	$(REQUIREMENTS) docs >> $(VENV)/tools.txt
	$(REQUIREMENTS) dev >> $(VENV)/tools.txt
	$(PIP) install --quiet -r $(VENV)/tools.txt
	touch $@

$(VENV)/.wheel-tools: $(VENV)/.build-tools
	$(REQUIREMENTS) wheel > $(VENV)/wheel.txt
	$(PIP) install --quiet -r $(VENV)/wheel.txt
	touch $@

clean:
	rm -rf build dist $(VENV)
