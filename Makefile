# Needs Python >= 3.11, git and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup plan test test-slow lint format bench results catalog calibrate clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(STAMP)  ## create .venv and install hexsolve with its development tools

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

plan: setup  ## plan the embedded default instance
	$(VENV)/bin/hexsolve plan

test: setup  ## run the tests (under 5 minutes on 2 cores)
	$(RUN) -m pytest -n $(JOBS) --dist loadfile -m "not slow"

test-slow: setup  ## run the slow tests as well
	$(RUN) -m pytest -n $(JOBS) --dist loadfile

lint: setup  ## ruff and mypy --strict
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: setup  ## let ruff format the code
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

bench: setup  ## planning time from 48 to 100,000 GPUs
	$(RUN) results/plan_scale/run.py

results: setup bench  ## regenerate what stands in results/ and needs no other tool
	$(RUN) results/plan_vs_aiconfigurator/compare.py

catalog: setup  ## regenerate the workflow classes that ship
	$(RUN) -m hexsolve.instances.workflow_catalog_build

clean:  ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
