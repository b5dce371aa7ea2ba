# Everything a developer needs, self-explaining: `make help`.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
LOOP := $(VENV)/bin/loop
STAMP := $(VENV)/.installed

# compiled modules are kept beside their sources, whatever the shell says: the command starts in half the time
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[36m%-11s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)/bin/python -m pip install --quiet --editable . --group dev
	@touch $@

.PHONY: venv
venv: $(STAMP) ## make .venv with everything in it

.PHONY: helper
helper: $(STAMP) ## compile the program for dev containers (kept outside the checkout)
	$(VENV)/bin/python native/helper/build.py

.PHONY: demo
demo: helper ## the main job: a cluster, the sample deployed, edits seen, all removed (LOOP_CONTEXT=… uses yours)
	$(VENV)/bin/python examples/demo.py

.PHONY: demo-gitops
demo-gitops: helper ## the whole way of a change, offline: inner loop, pull requests, Argo CD, rollback
	$(VENV)/bin/python examples/demo_gitops.py

.PHONY: bench
bench: helper ## measure the main job and sync on the built-in cluster (LOOP_CONTEXT=… uses yours)
	$(if $(LOOP_CONTEXT),,$(LOOP) cluster up --install)
	$(VENV)/bin/python -m bench.main_job
	$(VENV)/bin/python -m bench.gitops
	$(VENV)/bin/python -m bench.sync

.PHONY: lint
lint: $(STAMP) ## style, types, layers
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

.PHONY: test
test: $(STAMP) helper ## lint and all tests, on the built-in Kubernetes node
	$(MAKE) lint
	$(VENV)/bin/pytest --numprocesses 2

.PHONY: fuzz
fuzz: $(STAMP) ## feed the program for dev containers arbitrary frames (FOR=seconds, 300 unless given)
	fuzzer=$$($(VENV)/bin/python native/helper/build.py --fuzzer) && export TMPDIR=$$(mktemp -d) \
	  && $$fuzzer $(or $(FOR),300) $$(date +%s) && rm -r $$TMPDIR

.PHONY: clean
clean: ## remove what make made here (caches outside the checkout stay)
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
