# The few verbs of this project. Each sets up what it needs; only python3, make and pip must be there.
PYTHON ?= python3
VENV := .venv
DEMO_VENV := .venv-demo
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

.PHONY: help setup demo test check bench clean

help:
	@echo "make setup  everything, in .venv"
	@echo "make demo   the whole way on phantoms, in a venv of its own with the core only; results in demo-out"
	@echo "make test   all tests (FLAIRLINE_DATA=folder of the real scans, where you have them)"
	@echo "make check  ruff, mypy, import-linter"
	@echo "make bench  speed and memory against the published recipe"

setup: $(VENV)/.done

# torch is pinned by constraints.txt: without it pip would download gigabytes of CUDA libraries.
# What the reports' viewer is bundled from, at installation.
VIEWER := hatch_build.py package.json package-lock.json $(wildcard src/flairline/report/viewer/*.js)

$(VENV)/.done: pyproject.toml constraints.txt $(VIEWER)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) -c constraints.txt -e '.[deep,dicom,cluster,paper,test]'
	touch $@

$(DEMO_VENV)/.done: pyproject.toml $(VIEWER)
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/python $(PIP_INSTALL) -e .
	touch $@

demo: $(DEMO_VENV)/.done
	$(DEMO_VENV)/bin/flairline demo -o demo-out

test: $(VENV)/.done
	$(VENV)/bin/python -m pytest

check: $(VENV)/.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/.done
	for bench in evaluate preprocess cohort report; do $(VENV)/bin/python -m bench.$$bench || exit; done
	$(VENV)/bin/python -m bench.cohort

clean:
	rm -rf $(VENV) $(DEMO_VENV) demo-out
