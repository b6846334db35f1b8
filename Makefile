# Needs Python >= 3.11, git and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup compile kernels plan simulate test test-slow lint format bench results optimum online catalog calibrate clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(STAMP) compile  ## create .venv, install hexsolve with its development tools, compile the simulator

compile: $(STAMP)  ## compile the simulator, if there is a C compiler and it has changed
	@$(RUN) -m hexsolve.native.build || true

kernels: $(STAMP)  ## compile list scheduling and annealing, as else their first use does (a minute)
	@$(RUN) -c 'from hexsolve.solver.optimum.ready import compile_annealing; compile_annealing()'

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

plan: setup  ## plan the embedded default instance
	$(VENV)/bin/hexsolve plan

simulate: setup  ## simulate the planned default instance
	$(VENV)/bin/hexsolve simulate

test: setup kernels  ## run the tests (under 5 minutes on 2 cores)
	$(RUN) -m pytest -n $(JOBS) --dist loadfile -m "not slow"
	HEXSOLVE_NATIVE=0 $(RUN) -m pytest -q tests/simulation/test_exactness.py

test-slow: setup kernels  ## run the slow tests as well
	$(RUN) -m pytest -n $(JOBS) --dist loadfile

lint: $(STAMP)  ## ruff and mypy --strict
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(STAMP)  ## let ruff format the code
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

bench: setup  ## planning time from 48 to 100,000 GPUs; speed of the simulation
	$(RUN) results/plan_scale/run.py
	$(RUN) results/speed/run.py

results: setup bench optimum  ## regenerate what stands in results/ and needs no other tool
	$(RUN) results/plan_vs_aiconfigurator/compare.py
	$(RUN) results/plan_vs_simulation/run.py
	$(RUN) results/fidelity/run.py

optimum: setup  ## best-known table, bounds and gaps of the benchmark (hours anew; goes on where it stopped)
	$(RUN) results/optimum/run.py $(if $(QUICK),--time-limit xs=8 --time-limit s=15 --time-limit m=15 --time-limit l=15)
	$(VENV)/bin/hexsolve compare results/optimum/study.yaml -o results/optimum/policies --no-figures --jobs $(JOBS)
	$(RUN) results/optimum/gaps.py

online: setup  ## compare online policies on 16 settings (QUICK=1: a quarter of it, ten minutes)
	$(RUN) results/online/run.py $(if $(QUICK),--quick)

catalog: setup  ## regenerate the workflow classes that ship
	$(RUN) -m hexsolve.instances.workflow_catalog_build

DATA ?= $(or $(HEXSOLVE_DATA),../shared/data)

calibrate: setup  ## refit the shipped latency coefficients (needs the tables and aiconfigurator-core)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev,aiconfigurator]'
	mkdir -p build
	$(VENV)/bin/hexsolve calibrate fit $(DATA)/latency/latency_table.csv \
		$(DATA)/latency/vllm_kernels_rtx4090.csv -o hexsolve/instances/catalog/coefficients.yaml
	$(VENV)/bin/hexsolve calibrate table -o build/training.csv \
		--llm llama-3.1-8b --llm llama-3.1-70b --llm llama-3.1-405b --llm qwen3-235b-a22b \
		--llm mixtral-8x7b --llm qwen3-30b-a3b --llm gpt-oss-20b --llm deepseek-v3 \
		--gpu a100-80 --gpu h100 --gpu h200 --gpu l40s --gpu b200 --gpu gb200 --gpu b300 \
		--gpu rtx-pro-6000
	$(VENV)/bin/hexsolve calibrate roofline $(DATA)/latency/latency_table.csv \
		$(DATA)/latency/vllm_kernels_rtx4090.csv build/training.csv \
		-o hexsolve/instances/catalog/efficiencies.yaml \
		--source "step times of aiconfigurator-core 0.12.0 (vLLM profile)"
	$(RUN) results/calibration/study.py --data $(DATA)

clean:  ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info hexsolve/native/lib
