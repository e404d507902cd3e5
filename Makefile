# Set-up is a prerequisite of every target: it runs by itself, and again only when requirements.lock changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := $(VENV)/ready
STUDY := initial batchnorm augmented
QUICK := tests/test_repository.py tests/classifier $(addprefix --ignore tests/classifier/,training/test_trainer.py test_params_properties.py)
# Columns of hashes, of times that differ in every run, and of the many scores that dvc metrics diff shows better.
NOISE := Created|State|Executor|images|validation_loss|accuracy_|macro|recall|top_2|calibration|.*\.(csv|npz|pt|py)$$
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro demo variant study table plots bench test quick lint lock

help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(READY) ## make .venv and install the locked dependencies (the other targets do it by themselves)

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; name another: make PYTHON=python3.12")'
	@git --version >/dev/null || { echo "Git is needed: DVC keeps its versions in it" >&2; exit 1; }
	@echo "Setting up $(VENV) with the versions of requirements.lock (once; PyTorch alone is some gigabytes)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --disable-pip-version-check install --require-hashes --no-deps --requirement requirements.lock
	@touch $(READY)

repro: $(READY) ## run the pipeline: whatever changed since the last time
	@python -m tools.repro

demo: $(READY) ## run the whole pipeline on scikit-learn's digits, with no network for data
	@python -m tools.variant digits --export demo
	@python -m tools.summary demo digits

variant: $(READY) ## run a variant as an experiment: make variant NAME=digits
	@python -m tools.variant $(or $(NAME),--help)

study: $(READY) ## run the study's three designs and compare them (JOBS=2 runs two at a time)
	@python -m tools.variant $(STUDY) --jobs $(or $(JOBS),1)
	@python -m tools.compare $(STUDY) --output docs/study

table: $(READY) ## list the experiments on this commit: what differs, and what came of it
	@dvc exp show --only-changed --drop '$(NOISE)'

plots: $(READY) ## write the page of plots and say where it is
	@dvc plots show $(if $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin Windows_NT,$(shell uname) $(OS))),--open)

bench: $(READY) ## compare the speed with a conventional training loop, in three minutes (FULL=1: everything, with medians, some hours)
	@dvc repro --quiet preprocess
	@python -m benchmarks.run $(if $(FULL),--full --runs 3)

test: $(READY) ## run the tests, and measure what they cover of the package and the stages
	@python -m pytest --numprocesses 2 --dist loadfile --cov

quick: $(READY) ## run a subset of the tests in under 30 seconds: no DVC, no whole training
	@python -m pytest --numprocesses 2 --dist loadfile $(QUICK)

lint: $(READY) ## check style and types
	@ruff check .
	@ruff format --check .
	@mypy

lock: $(READY) ## pin the newest versions that pyproject.toml admits
	uv pip compile --universal --upgrade --quiet --generate-hashes --all-extras --python-version 3.11 \
	  --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock
