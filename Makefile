# Set-up is a prerequisite of every target: it runs by itself, and does something only where the environment is not up to date.
# Commands are called by their path: GNU make 3.81, which macOS ships, looks for them in the PATH that it was started with.

VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PYTHON ?= $(firstword $(wildcard $(BIN)/python $(BIN)/python.exe) python3)
RUN := $(BIN)/python -m
COMPILE := $(RUN) uv pip compile pyproject.toml --universal --quiet --generate-hashes --python-version 3.11 --custom-compile-command "make lock"
STUDY := initial batchnorm augmented
QUICK := tests/test_repository.py tests/classifier $(addprefix --ignore tests/classifier/,data/test_sources.py figures training/test_designs.py training/test_trainer.py test_params_properties.py)
# For the commands that DVC runs, such as `python -m stages.train`.
export PATH := $(CURDIR)/$(BIN)$(if $(findstring ;,$(PATH)),;,:)$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro demo variant study published table report plots watch bench test quick lint lock

help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with the locked packages; TORCH=cpu: PyTorch without CUDA; EXPORT=1: with those of tools.export and of a browser
	@$(PYTHON) -m tools.setup $(if $(TORCH),--torch "$(TORCH)") $(if $(EXPORT),--export)

repro: setup ## run the pipeline: whatever changed since the last time
	@$(RUN) tools.repro

demo: setup ## run the whole pipeline on scikit-learn's digits, with no network for data
	@$(RUN) tools.variant digits --export demo
	@$(RUN) tools.summary demo digits

variant: setup ## run a variant as an experiment: make variant NAME=digits
	@$(RUN) tools.variant "$(or $(NAME),--help)"

study: setup ## run the study's three designs and compare them (SEEDS="0 1 2", JOBS=2 at a time, OUTPUT=FOLDER)
	@$(RUN) tools.variant $(STUDY) $(if $(SEEDS),--seeds $(foreach seed,$(SEEDS),"$(seed)")) --jobs "$(or $(JOBS),1)" --compare "$(or $(OUTPUT),comparison)"

published: setup ## make the published results of the study experiments on this commit
	@$(RUN) tools.publish --restore

table: setup ## list the experiments on this commit: their results, and what differs from the commit
	@$(RUN) tools.table

report: setup ## write the report of the study's designs and the workspace, report/index.html (REVISIONS="a b": of these)
	@$(RUN) tools.report $(or $(foreach name,$(REVISIONS),"$(name)"),--existing $(foreach name,$(STUDY),$(name) "$(name)-seed-*") workspace)

plots: setup ## write the page of plots and say where it is
	@$(RUN) dvc plots show $(if $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin Windows_NT,$(shell uname) $(OS))),--open)

watch: setup ## show the training runs and their curves in a browser, until Ctrl-C (PORT=8642)
	@$(RUN) tools.watch $(if $(PORT),--port "$(PORT)")

bench: setup ## compare the speed with a conventional training loop, in three minutes (FULL=1: everything, with medians, some hours)
	@$(RUN) tools.repro --quiet preprocess
	@$(RUN) benchmarks.run $(if $(FULL),--full --runs 3)

test: setup ## run the tests, JOBS=2 at a time, and measure what they cover of the package and the stages (SLOW=1: the long ones too; EXPORT=1: those of export and of pages in a browser too; DESIGNS=1: those of each of torchvision's designs)
	@$(RUN) pytest --numprocesses "$(or $(JOBS),2)" --dist loadfile --no-loadscope-reorder -m $(if $(DESIGNS),designs,"not designs$(if $(SLOW),, and not slow)" --cov)

quick: setup ## run a subset of the tests in about half a minute: no DVC, no whole training
	@$(RUN) pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not slow and not designs" $(QUICK)

lint: setup ## check style and types
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

lock: setup ## pin the newest versions that pyproject.toml admits, in two files that agree
	$(COMPILE) --upgrade --all-extras --output-file requirements-export.lock
	$(BIN)/python -c 'import shutil; shutil.copy("requirements-export.lock", "requirements.lock")' # whose versions uv then keeps
	$(COMPILE) --extra dev --output-file requirements.lock
