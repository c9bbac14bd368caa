# Every target sets up what it needs. The first run on a bare machine takes a few minutes, later ones seconds.

PYTHON ?= python3
BIN := .venv/bin
# The environment is made again when its description changes.
STAMP := .venv/.installed-$(shell sha256sum pyproject.toml | cut -c1-12)
# The same for what only `make site` and `make fuzz-guided` need.
SITE := .venv/.site-$(notdir $(STAMP))
ATHERIS := .venv/.atheris-$(notdir $(STAMP))
# What `make testbed-up` starts: make testbed-up UP='--phones 40 -f bed.yaml -f no-slb.yaml'
UP ?=
# What `make test` and `make nightly` hand to pytest.
PYTEST ?=

.DEFAULT_GOAL := help
.PHONY: help testbed-up testbed-down doctor check test nightly docs site bench fuzz fuzz-guided soak clean

help:  ## these lines
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## */  make \1|/' | column -t -s '|'

testbed-up: $(STAMP) doctor  ## a running bed: sets up everything, waits until every phone is registered
	$(BIN)/testbed up $(UP)

testbed-down: $(STAMP)  ## take the bed down
	$(BIN)/testbed down

doctor: $(STAMP)  ## install and start the engine, make the images: whatever is missing
	$(BIN)/testbed doctor --fix

check: $(STAMP)  ## format, lint, strict types, unit tests; under a minute, no engine needed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest tests/unit -q -n auto $(PYTEST)

test: $(STAMP) doctor  ## all suites: unit, loopback, plugin and, in containers, one scenario of each family; 15 minutes at most
	$(BIN)/pytest tests/unit tests/peers -q -n auto $(PYTEST)
	$(BIN)/pytest tests/loopback tests/e2e -m "not nightly" --durations=15 $(PYTEST)

nightly: $(STAMP) doctor  ## what make test leaves out: every scenario, real timers, every mutant, killed suites; an hour
	$(BIN)/pytest tests/e2e -m nightly --durations=15 $(PYTEST)

docs: $(STAMP)  ## make docs/page-matrix.md, and the tables of docs/scenarios.md, again from the code, the scenarios and the tests
	$(BIN)/python -m testbed.page_matrix > docs/page-matrix.md
	$(BIN)/python -m testbed.scenario_words docs/scenarios.md

site: $(SITE)  ## the documentation as a site in site/, its links checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --config-file .ci/site/mkdocs.yml

bench: $(STAMP) doctor  ## the figures the README speaks of, as ratios of one run
	PYTHONPATH=tests $(BIN)/python -m tests.bench

# What `make fuzz` hands over: make fuzz FUZZ='--seconds 600 --target audit'
FUZZ ?=
fuzz: $(STAMP)  ## changed captures and policies against their readers for a minute; what breaks one is kept
	PYTHONPATH=tests $(BIN)/python -m fuzz.fuzzing $(FUZZ)

fuzz-guided: $(ATHERIS)  ## the same readers under atheris, which goes where no input was before; five minutes
	PYTHONPATH=tests $(BIN)/python -m fuzz.guided $(FUZZ)

# What `make soak` hands over: make soak SOAK='--kills 10 --rounds 2 --minutes 20'
SOAK ?=
soak: $(STAMP) doctor  ## a nested engine restarted and full, runs killed at random moments (50 by SIGKILL), 20 rounds of eight beds; two hours
	$(BIN)/pytest tests/e2e/test_nested_engine.py
	$(BIN)/python -m tests.soak $(SOAK)

clean:  ## remove the environment and all caches; images, beds and runs stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build site
	find testbed tests .ci -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@PYTHON='$(PYTHON)' .ci/python
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@rm -f .venv/.installed-*
	@touch $@

$(SITE): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@rm -f .venv/.site-*
	@touch $@

$(ATHERIS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	@rm -f .venv/.atheris-*
	@touch $@
