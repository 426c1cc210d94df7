# Each target is one line a person could type. `make help` lists them.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help install demo flights up test check unit chaos bench bench-env format system spark clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/.installed ## put everything into .venv
.venv/.installed: requirements/uv.txt requirements/constraints.txt pyproject.toml scripts/install.sh
	@PYTHON=$(PYTHON) sh scripts/install.sh .venv requirements/constraints.txt --editable

spark: .venv-spark/.installed ## put Apache Spark's server side into .venv-spark (for the tests)
.venv-spark/.installed: requirements/uv.txt requirements/spark-server.txt scripts/install.sh
	@PYTHON=$(PYTHON) sh scripts/install.sh .venv-spark requirements/spark-server.txt

demo: install ## run the pipeline batch_processor in Airflow on generated input
	@$(BIN)/python scripts/demo.py

flights: install ## run the flights example on real data (ARGS="--engine sc://host:port" for another engine)
	@$(BIN)/python scripts/flights.py $(ARGS)

up: install ## start Airflow with its UI on port 8080; Ctrl-C stops it
	@$(BIN)/python scripts/up.py

check: install ## style, types and the direction of imports
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports

unit: install ## the tests that need no server
	$(BIN)/python -m pytest tests/unit

system: ## Debian packages that the tests need (installs them where run as root)
	@sh scripts/system.sh

test: system install spark check ## every test: check, then unit, integration, dags and e2e, in two processes
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=15

chaos: system install ## kill runs at every point, in every mode, and at random; writes docs/fault_tolerance.md
	$(BIN)/python -m tests.e2e.chaos.sweep --write $(ARGS)

format: install ## lay the code out
	$(BIN)/ruff check --fix && $(BIN)/ruff format

bench-env: .venv-bench/.installed ## put what the benchmarks compare with into .venv-bench
.venv-bench/.installed: requirements/uv.txt requirements/bench.txt scripts/install.sh
	@PYTHON=$(PYTHON) sh scripts/install.sh .venv-bench requirements/bench.txt

bench: system install bench-env ## every benchmark, one after the other, on 10 million rows
	$(BIN)/python -m benchmarks.validation
	$(BIN)/python -m benchmarks.validation --suites
	$(BIN)/python -m benchmarks.staging
	$(BIN)/python -m benchmarks.publish
	$(BIN)/python -m benchmarks.warehouse
	$(BIN)/python -m benchmarks.control

clean: ## remove what the targets made, the environments included
	rm -rf .venv .venv-spark .venv-bench .demo .airflow .batch .cache
