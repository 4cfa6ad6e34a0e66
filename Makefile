# Every target first sets up what it needs. `make` alone lists them.

# The first Python that is new enough; PYTHON=… overrides it.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
PYTEST_ARGS ?= -n auto
# The tests whose coverage can be measured: the others start separate processes, or check times and
# memory that measuring would change.
IN_PROCESS := $(wildcard tests/test_*.py) tests/accounts tests/admin tests/api tests/artifacts \
	tests/dashboard tests/families tests/jobs tests/local_qstash tests/metrics
APART := $(filter-out $(IN_PROCESS),$(patsubst %/,%,$(wildcard tests/*/)))

# Images for containers often set it; but here Python starts hundreds of times, and would compile the
# app in each process.
unexport PYTHONDONTWRITEBYTECODE

# Where `make dist` puts what it builds.
DIST ?= dist

# Only relative paths, so that the repository may lie in a folder with spaces in its name.
BIN := .venv/bin
READY := .venv/.ready
TEST_READY := .venv/.ready-for-tests
BENCH_READY := .venv/bench/.ready

.DEFAULT_GOAL := help
.PHONY: help demo dev test check coverage apart lint types audit lock dist format bench bench-quick bench-floors chaos screenshots clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: $(READY) ## Watch jobs run: nothing to install, no account, stops by itself
	@$(BIN)/python -m app.dev demo

dev: $(READY) ## Run the whole stack with reload until Ctrl-C
	@$(BIN)/python -m app.dev up

test: $(TEST_READY) ## Run the tests (PYTEST_ARGS="tests/jobs -x" for some of them)
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

coverage: $(TEST_READY) ## Run the tests and report the lines and branches that none of them reaches
	@$(BIN)/python -m pytest $(PYTEST_ARGS) --cov=app $(IN_PROCESS)

# Each test once, with a minimum coverage where it can be measured (FLOOR=1 make check). These wait
# for other processes about as long as they compute, so there is one worker more than cores.
apart: $(TEST_READY)
	@PYTEST_XDIST_AUTO_NUM_WORKERS=$$($(BIN)/python -c 'import os; print(os.cpu_count() + 1)') \
		$(BIN)/python -m pytest $(PYTEST_ARGS) $(APART)

# Types and counts keep one core busy each, and no time is measured there.
check: lint ## Lint, check types, count, test: what CI runs
	@$(MAKE) --no-print-directory -j 2 types bench-quick
	@$(MAKE) --no-print-directory $(if $(FLOOR),coverage apart,test)

lint: $(TEST_READY) ## Check the style of the code (ruff)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(TEST_READY) ## Check the types of the app and its tests (mypy, strict)
	@$(BIN)/mypy

audit: $(READY) ## Look for known vulnerabilities in the locked packages; needs the network
	@[ -x .venv/audit/bin/pip-audit ] || { $(BIN)/python -m venv .venv/audit \
		&& .venv/audit/bin/python -m pip install -qq --disable-pip-version-check pip-audit; }
	@.venv/audit/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/test.txt

lock: $(READY) ## Write requirements/*.txt from pyproject.toml (LOCK_ARGS=--upgrade for newer versions)
	@[ -x .venv/lock/bin/uv ] || { $(BIN)/python -m venv .venv/lock \
		&& .venv/lock/bin/python -m pip install -qq --disable-pip-version-check uv; }
	@$(BIN)/python requirements/lock.py $(LOCK_ARGS)

dist: $(READY) ## Build the extension alone, as wheel and source distribution, into dist/
	@[ .venv/dist/.ready -nt requirements/dist.txt ] || { $(BIN)/python -m venv --clear .venv/dist \
		&& .venv/dist/bin/python -m pip install -qq --disable-pip-version-check --require-hashes \
		--only-binary :all: -r requirements/dist.txt && touch .venv/dist/.ready; }
	@rm -f "$(DIST)"/flask_qstash_jobs-*
	@.venv/dist/bin/python -m build --no-isolation --outdir "$(DIST)" packages/flask_qstash_jobs

format: $(TEST_READY) ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(TEST_READY) $(BENCH_READY) ## Measure beside other job systems (BENCH_ARGS=--help)
	@$(BIN)/python -m benchmarks.peers $(BENCH_ARGS)

bench-quick: $(TEST_READY) ## Count what a job costs beside the baseline (BENCH_ARGS=--help)
	@$(BIN)/python -m benchmarks.quick $(BENCH_ARGS)

bench-floors: $(TEST_READY) ## Measure each part beside its floor: exports, reports, cleanup, …
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

chaos: $(TEST_READY) ## Kill everything under load and count what was lost (CHAOS_ARGS="--jobs 1000")
	@$(BIN)/python -m tests.chaos.run $(CHAOS_ARGS)

screenshots: $(TEST_READY) ## Take the pictures that the docs show (needs Chromium)
	@$(BIN)/python -m tests.browser.screenshots

clean: ## Remove everything that the other targets create, the development database too
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m app.dev destroy; fi
	@rm -rf .venv dist instance logs .coverage tests/local_qstash/js/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
		"Python 3.11 or newer is needed. Install it, or set PYTHON=/path/to/python3" \
		>&2; exit 1; }
	@echo "Setting up .venv (about a minute the first time)…"
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		--require-hashes --only-binary :all: -r requirements/dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		--no-build-isolation --no-deps --editable .
	@touch $(READY)

$(TEST_READY): $(READY) requirements/test.txt
	@echo "Setting up what the tests need (another minute the first time)…"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		--require-hashes --only-binary :all: -r requirements/test.txt
	@touch $(TEST_READY)

$(BENCH_READY): $(READY) requirements/bench.txt
	@echo "Setting up the systems to compare with (a minute the first time)…"
	@$(BIN)/python -m venv --clear .venv/bench
	@.venv/bench/bin/python -m pip install -qq --disable-pip-version-check \
		--require-hashes --only-binary :all: -r requirements/bench.txt
	@touch $(BENCH_READY)
