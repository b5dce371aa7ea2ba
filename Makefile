# Everything a developer needs, self-explaining: `make help`.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
LOOP := $(VENV)/bin/loop
STAMP := $(VENV)/.installed

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[36m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

.PHONY: lint
lint: $(STAMP) ## style, types, layers
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

.PHONY: test
test: $(STAMP) helper ## lint and all tests, on the built-in Kubernetes node
	$(MAKE) lint
	$(VENV)/bin/pytest

.PHONY: clean
clean: ## remove what make made here (caches outside the checkout stay)
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
