# Everything works on a machine that has Python 3.11 (or newer) and make.
# `make help` lists the targets; `make check` is what CI runs.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA := .greenroom
REPORTS := .reports
SERVED := $(VENV)/.served
DEVELOPED := $(VENV)/.developed
PACKAGES := pyproject.toml clients/python/pyproject.toml

.PHONY: help run test check gate lint types imports format bench openapi migration schema requirements clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: $(SERVED) ## start the server with its own PostgreSQL and the example project
	@$(BIN)/greenroom-server seed --data-dir $(DATA) --tokens $(DATA)/shop.env
	@echo "Load the example's tokens into another shell with:  source $(DATA)/shop.env"
	@echo "Then follow the five-minute tour in README.md. Stop the server with Ctrl-C."
	@exec $(BIN)/greenroom-server serve --data-dir $(DATA) --log-format console

test: $(DEVELOPED) ## run every test; every branch of the two pure cores must be reached
	@rm -rf $(REPORTS) # of an older run
	$(BIN)/coverage run -m pytest -q --junitxml=$(REPORTS)/unit.xml tests/unit/evaluation tests/unit/policy
	$(BIN)/coverage report --fail-under=100
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --junitxml=$(REPORTS)/rest.xml \
		--ignore tests/unit/evaluation --ignore tests/unit/policy

check: lint types imports test ## what CI runs
	@$(MAKE) --no-print-directory gate

gate: $(DEVELOPED) ## may this tree go? its wheel and the reports of the last `make test` through a server of its own
	$(BIN)/python -m tests.gate $(REPORTS)

lint: $(DEVELOPED) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPED) ## mypy, strict
	$(BIN)/mypy

imports: $(DEVELOPED) ## import-linter: who may import whom
	$(BIN)/lint-imports

format: $(DEVELOPED) ## bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEVELOPED) ## measure, as ratios to floors in the same run
	$(BIN)/python -m tests.bench

migration: $(DEVELOPED) ## write the next migration from the tables: make migration name=add_something
	$(BIN)/python -m greenroom_server migration --name "$(name)"

schema: $(DEVELOPED) ## write the JSON Schema of release policies from their model
	$(BIN)/python -c "from greenroom_server.policy.schema import schema_text; print(schema_text(), end='')" \
		> server/greenroom_server/policy/release-policy.schema.json

requirements: $(DEVELOPED) ## pin the dependencies anew, with hashes
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml \
		--extra otel --group build --group cli --no-emit-package greenroom -o requirements/server.txt -q
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml \
		--extra otel --group dev --no-emit-package greenroom -o requirements/dev.txt -q
	for group in peers peers-devcycle peers-unleash5; do \
		$(BIN)/uv pip compile --universal --generate-hashes --no-header --python-version 3.11 \
			--group $$group -o requirements/$$group.txt -q; done

clean: ## remove what was installed and made, the example's data too
	rm -rf $(VENV) $(DATA) $(REPORTS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The two packages of this repository are installed editable and built by the pinned hatchling.
$(SERVED): requirements/server.txt $(PACKAGES) | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/server.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e clients/python -e .
	@touch $@

$(DEVELOPED): requirements/dev.txt $(PACKAGES) | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e clients/python -e .
	@touch $@ $(SERVED)
