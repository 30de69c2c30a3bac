# The few verbs of this project. Each sets up what it needs; only python3, make and pip must be there.
PYTHON ?= python3
# Another interpreter gets a venv of its own, named after its version, and no extra `deep` unless asked for: outside the
# version that constraints.txt has a small torch for, pip would fetch gigabytes of CUDA libraries.
ifeq ($(PYTHON),python3)
VENV := .venv
EXTRAS ?= deep,dicom,cluster,paper,docs,test
else
# A shim of pyenv is there for versions that are not switched on; then the version itself is taken.
FOUND := $(firstword $(shell $(PYTHON) -c 'import sys; print(sys.executable)' 2>/dev/null) \
    $(lastword $(sort $(wildcard $(HOME)/.pyenv/versions/*/bin/$(notdir $(PYTHON))))))
ifeq ($(FOUND),)
$(error Wanted a Python, but "$(PYTHON)" does not run. Give PYTHON=/path/to/python3.13)
endif
override PYTHON := $(FOUND)
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
EXTRAS ?= dicom,cluster,paper,test
endif
DEMO_VENV := .venv-demo
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
# A worker a core. A file stays on one worker, so that what a module makes is made once and one browser runs.
WORKERS ?= 2
TESTS ?= tests

.PHONY: help setup demo test test-faults container-test check docs bench clean

help:
	@echo "make setup  everything, in .venv (PYTHON=python3.13: in .venv-3.13, without torch)"
	@echo "make demo   the whole way on phantoms, in a venv of its own with the core only; results in demo-out"
	@echo "make test   all tests (FLAIRLINE_DATA=folder of the real scans, where you have them; TESTS=tests/io: some)"
	@echo "make test-faults  kills workers, runs and schedulers; on a quiet machine"
	@echo "make container-test  the image's root from a bare Debian, and a cohort in it; as root, with debootstrap"
	@echo "make check  ruff, mypy, import-linter"
	@echo "make docs   the documentation in site/, strictly: a broken link or an undocumented public name fails"
	@echo "make bench  speed and memory against the published recipe"

setup: $(VENV)/.done

# What the reports' viewer is bundled from, at installation.
VIEWER := hatch_build.py package.json package-lock.json $(wildcard src/flairline/report/viewer/*.js)

# torch is pinned by constraints.txt: without it pip would download gigabytes of CUDA libraries.
$(VENV)/.done: pyproject.toml constraints.txt $(VIEWER)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

$(DEMO_VENV)/.done: pyproject.toml $(VIEWER)
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/python $(PIP_INSTALL) -e .
	touch $@

demo: $(DEMO_VENV)/.done
	$(DEMO_VENV)/bin/flairline demo -o demo-out

test: $(VENV)/.done
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

# Processes are killed at chosen moments, which a busy machine can miss: one after the other, apart from the rest.
test-faults: $(VENV)/.done
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m faults tests/cohort tests/test_executor.py

container-test:
	bash container/test.sh

check: $(VENV)/.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/.done
	$(VENV)/bin/python -m studies.tables --check
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

bench: $(VENV)/.done
	for bench in evaluate preprocess report cohort; do $(VENV)/bin/python -m bench.$$bench || exit; done

clean:
	rm -rf $(VENV) $(wildcard .venv-*) demo-out site
