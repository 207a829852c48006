# Holdfast's commands; `make help` lists them. Each sets up what it needs, in .venv, and only once.

PYTHON ?= python3
ARGS ?=
# For each command the number that is best on two cores, unless this names another.
TEST_PROCESSES ?=

VENV := .venv
BIN := $(VENV)/bin
UV ?= $(BIN)/uv

# A stamp is written last: an install that was interrupted is done again.
CREATED := $(VENV)/.created
INSTALLER := $(VENV)/.installer
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
INSTALLED_DEPLOYMENT := $(VENV)/.installed-deployment
INSTALLED_CONSOLE := $(VENV)/.installed-console

PYTEST = $(BIN)/python -m pytest --numprocesses $(or $(TEST_PROCESSES),$(PROCESSES))
PROCESSES := 2
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
UV_INSTALL := $(UV) pip install --quiet --python $(BIN)/python
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet

# An environment whose Python is gone, upgraded or moved, is made anew.
$(shell [ -x $(BIN)/python ] || rm -f $(CREATED) $(INSTALLER) $(INSTALLED) $(INSTALLED_DEV) $(INSTALLED_DEPLOYMENT) $(INSTALLED_CONSOLE))

# Bytecode that is not kept is compiled at each start of each process: 1.5 s of CPU here.
unexport PYTHONDONTWRITEBYTECODE

# uv does not read pip's configuration: an index or certificates of one's own are passed on.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_EXTRA_INDEX_URL
export UV_INDEX ?= $(PIP_EXTRA_INDEX_URL)
endif
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif

.DEFAULT_GOAL := help
.PHONY: help up test test-slow test-deployment test-weaviate test-console test-all lint types bench chaos conformance histories
.PHONY: vendor screenshot lock clean
.NOTPARALLEL:

help:  ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(INSTALLED)  ## Serve Holdfast: API, worker and Temporal; Ctrl-C stops it
	@exec $(BIN)/python -m cli.main up --stop-with-parent $$PPID

# Most of its tests wait for servers.
test: PROCESSES := 5
test: $(INSTALLED_DEV)  ## Run what every change needs; ARGS="-k name" for some of these tests
	@$(PYTEST) --ignore tests/deployment --ignore tests/console -m "not slow and not conformance and not weaviate" $(ARGS)

test-slow: $(INSTALLED_DEV)  ## Run what tests programs as a whole: starts, stops, kills, outages, attacks, fuzz, load, a short chaos
	@$(PYTEST) --ignore tests/deployment --ignore tests/console -m "slow and not weaviate" $(ARGS)

test-deployment: $(INSTALLED_DEPLOYMENT)  ## Run the tests of docker-compose.yml; the first time builds servers from source
	@$(BIN)/python -m tests.deployment.modules
	@$(PYTEST) tests/deployment $(ARGS)

test-weaviate: $(INSTALLED_DEPLOYMENT)  ## Run the tests of search in Weaviate; the first time builds Weaviate from source
	@$(BIN)/python -m tests.weaviate_server
	@$(PYTEST) --ignore tests/deployment --ignore tests/console -m weaviate $(ARGS)

test-console: $(INSTALLED_CONSOLE)  ## Run the tests of the console in Chromium; the first time fetches it, if the machine has none
	@$(BIN)/python -m tests.console.chromium
	@$(PYTEST) tests/console tests/api/test_console.py $(ARGS)

test-all: PROCESSES := 4
test-all: $(INSTALLED_DEPLOYMENT) $(INSTALLED_CONSOLE)  ## Run every test there is, with every release of the official SDKs
	@$(BIN)/python -m tests.deployment.modules
	@$(BIN)/python -m tests.console.chromium
	@$(PYTEST) $(ARGS)

lint: $(INSTALLED_DEV)  ## Check style, format, and which layer imports which
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/lint-imports

types: $(INSTALLED_DEV)  ## Check the types
	@$(BIN)/python -m mypy

bench: $(INSTALLED_DEV)  ## Measure runs beside bare Temporal; ARGS=postgres, streams, models, waiting, growth, parked, files, search, sandbox
	@$(BIN)/python -m tests.bench $(ARGS)

chaos: $(INSTALLED_DEV)  ## Kill everything under hundreds of runs; ARGS="--seed 7 --runs 300 --setup postgres"; prints a table
	@$(BIN)/python -m tests.chaos $(ARGS)

conformance: $(INSTALLED_DEV)  ## Try every operation with the official SDKs of several releases; prints a table
	@$(BIN)/python -m tests.conformance

histories: $(INSTALLED_DEV)  ## Record the histories of the replay tests anew; ARGS=path for one of them
	@$(BIN)/python -m tests.replay.record $(ARGS)

vendor: $(INSTALLED_DEV)  ## Fetch the console's npm packages anew, of the versions in tests/console/vendor.py; needs npm
	@$(BIN)/python -m tests.console.vendor

screenshot: $(INSTALLED_CONSOLE)  ## Make docs/console.png from a running server
	@$(BIN)/python -m tests.console.screenshot

lock: $(INSTALLED_DEV)  ## Write the lock files from pyproject.toml; ARGS=--upgrade for newer versions
	@$(COMPILE) pyproject.toml $(ARGS) --output-file requirements.lock
	@$(COMPILE) $(ARGS) --group installer --constraints requirements.lock --output-file requirements-uv.lock
	@$(COMPILE) pyproject.toml $(ARGS) --group dev --constraints requirements.lock --output-file requirements-dev.lock
	@$(COMPILE) $(ARGS) --group deployment --constraints requirements-dev.lock --output-file requirements-deployment.lock
	@$(COMPILE) $(ARGS) --group console --constraints requirements-dev.lock --output-file requirements-console.lock
	@$(COMPILE) $(ARGS) --group sandbox --output-file infra/sandbox/requirements-sandbox.lock
	@$(BIN)/python -m tests.conformance.lock $(UV) $(ARGS)

clean:  ## Remove the environment and caches; the data folder stays
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(CREATED):
	@{ $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; } 2>/dev/null || { echo >&2 \
		"Holdfast needs Python 3.11 or newer; $(PYTHON) is older or missing: name another, as in PYTHON=python3.12"; exit 1; }
	@echo "Creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(INSTALLER): requirements-uv.lock | $(CREATED)
	@$(PIP_INSTALL) --require-hashes --requirement requirements-uv.lock
	@touch $@

$(INSTALLED): requirements.lock pyproject.toml | $(INSTALLER)
	@echo "Installing Holdfast into $(VENV), which can take a minute"
	@$(UV_INSTALL) --require-hashes --requirement requirements.lock
	@$(UV_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(INSTALLED_DEV): requirements-dev.lock requirements.lock pyproject.toml | $(INSTALLER)
	@echo "Installing Holdfast and its tests' dependencies into $(VENV), which can take a minute"
	@$(UV_INSTALL) --require-hashes --requirement requirements-dev.lock
	@$(UV_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED) $@

$(INSTALLED_DEPLOYMENT): requirements-deployment.lock $(INSTALLED_DEV)
	@echo "Installing what the tests of docker-compose.yml need into $(VENV), which can take a minute"
	@$(UV_INSTALL) --require-hashes --requirement requirements-deployment.lock
	@touch $@

$(INSTALLED_CONSOLE): requirements-console.lock $(INSTALLED_DEV)
	@echo "Installing what the tests of the console need into $(VENV)"
	@$(UV_INSTALL) --require-hashes --requirement requirements-console.lock
	@touch $@
