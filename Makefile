# Everything needs only make, Python 3.11 or later and the package registries.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
DATA ?= $(or $(UNDERSTUDY_DATA),.data)
SAMPLE ?= yes
NAME ?=
TESTS ?= tests

BIN := .venv/bin
UV := uv==0.13.9

.DEFAULT_GOAL := help
.PHONY: help run test check campaign bench demo lock clean format setup-tests
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# exec, so that a signal to make reaches the product itself and it can stop in order.
run: .venv/ready ## Start the whole product on loopback, in the foreground (DATA=dir, SAMPLE=no; Ctrl-C stops it)
	@exec env UNDERSTUDY_DATA="$(abspath $(DATA))" SAMPLE="$(SAMPLE)" $(BIN)/understudy up

test: setup-tests ## Run every test against real servers (TESTS=path for some of them)
	@$(BIN)/python -m pytest $(TESTS)

check: .venv/ready ## Format, lint, types, import contracts; changes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

campaign: setup-tests ## One of the long runs behind the figures (NAME=failpoints ...)
	@test -n "$(NAME)" || { echo "make campaign needs NAME=; there are:" $$(ls tests/campaigns | sed -n 's/^\([a-z][a-z_]*\)\.py$$/\1/p') >&2; exit 2; }
	@exec $(BIN)/python -m tests.campaigns.$(NAME)

bench: setup-tests ## The benchmarks, side by side with the peer where there is one
	@exec $(BIN)/python -m tests.bench

demo: .venv/ready ## The story of an outage, told step by step on a throw-away data folder
	@exec $(BIN)/python -m deploy.local.demo

format: .venv/ready ## Rewrite the sources in the one format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: ## Make requirements.lock from requirements.in, with hashes and no index address
	@test -x .cache/lock/bin/uv || { $(PYTHON) -m venv .cache/lock && .cache/lock/bin/pip install --quiet $(UV); }
	@.cache/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header requirements.in -o requirements.lock
	@echo "requirements.lock is made; 'make run' installs from it"

clean: ## Remove what make built; .data (the letters) and the download cache stay
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis tests/setup/node_modules
	@find . -name __pycache__ -not -path './.data/*' -prune -exec rm -rf {} +

setup-tests: .venv/ready
	@$(BIN)/python -m deploy.local.fetch
	@$(BIN)/python -m tests.setup

.venv/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Understudy needs Python 3.11 or later: install it, or name it with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11: name a newer one with PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Installing the locked packages into .venv ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Python has no venv here: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock \
		|| { echo "The packages could not be installed: check the network and that pip can reach its index, then try again" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@
