# Every target that has a ## comment is listed by `make help`.
PYTHON ?= python3
PORT ?= 8000
# Most tests wait for processes rather than compute, so more of them run side by side than there are cores.
JOBS ?= 4
# Each begins with a run of neighbours, which share what a module starts. The slow ones are neighbours, too: whoever is
# done takes some of what others still have to do.
SIDE_BY_SIDE := -n $(JOBS) --dist worksteal
# With no bytecode of an earlier run each test process compiles all tests, which takes longer than most of them run.
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest
# How many random orders `make model` tries, each of up to 60 steps.
EXAMPLES ?= 2000
# How many requests of each kind `make api-fuzz` makes of each of the API's operations.
API_EXAMPLES ?= 500
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## Create .venv and install the locked dependencies

$(STAMP): requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) found: install Python 3.11 or newer, or name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: install Python 3.11 or newer, or name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (Debian and Ubuntu: apt install python3-venv)."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: run
run: install ## Run the whole service with an embedded topology and a mailbox (PORT=8000)
	@exec $(BIN)/flask run --port $(PORT)

.PHONY: test
test: lint types ## Lint, check the types, run the tests
	$(PYTEST) $(SIDE_BY_SIDE) -m "not long"

.PHONY: test-long
test-long: install ## Run the tests that take some twenty seconds or more each
	$(PYTEST) $(SIDE_BY_SIDE) -m long

.PHONY: model
model: install ## Try random orders of all that can happen on real Redis processes (EXAMPLES=2000, some ten minutes)
	MODEL_EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/model --capture=no --timeout=0

.PHONY: api-fuzz
api-fuzz: install ## Have schemathesis try the API with requests of all kinds (API_EXAMPLES=500, some minutes)
	API_EXAMPLES=$(API_EXAMPLES) $(BIN)/pytest tests/integration/verifier/api/test_fuzzed.py --capture=no --timeout=0

.PHONY: chaos
chaos: install ## Practise every fault, at 50 and at 200 submissions a second, with reports
	$(BIN)/flask drill --rate 50 --json drill-report-50.json --html drill-report-50.html
	$(BIN)/flask drill --rate 200 --json drill-report-200.json --html drill-report-200.html

# Which faults, by name and separated by commas (ROWS=kill,pause); where the figures go (JSON=FILE).
ROWS ?=
JSON ?=

.venv-deployment/.installed: requirements-deployment.txt
	$(PYTHON) -m venv .venv-deployment
	.venv-deployment/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-deployment.txt
	@touch $@

.PHONY: deployment-test
deployment-test: install .venv-deployment/.installed ## Start compose.yaml in containers and break it under load, as root (ROWS=kill,pause JSON=FILE)
	@exec $(BIN)/python -m tests.deployment --rows "$(ROWS)" $(if $(JSON),--json $(JSON)) $(DEPLOYMENT_OPTIONS)

.venv-bench/.installed: requirements-bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

.PHONY: bench
bench: install .venv-bench/.installed ## Measure beside the peers and write docs/benchmarks.md (a quarter of an hour)
	$(BIN)/python -m tests.bench --write

.PHONY: footprint
footprint: install ## Print the memory of the whole embedded service after 1,000 verifications
	$(BIN)/python -m tests.bench.footprint

.PHONY: failovers
failovers: install ## Measure how soon the service accepts again after 20 failovers of each kind, as shipped
	$(BIN)/python -m tests.bench.failovers

.PHONY: attack
attack: install ## Attack a service as a deployment has it, on loopback, and print what holds (a minute; needs nginx)
	@$(BIN)/python -m tests.attack

# Every page and state, for looking at, goes into this directory where one is named; README's pictures else.
ALL ?=
.PHONY: pictures
pictures: install ## Take README's pictures of the running service (some minutes; ALL=DIRECTORY: every page and state, there)
	@$(BIN)/python -m tests.pictures $(if $(ALL),--all $(ALL))

.PHONY: lint
lint: install ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: install ## Check the types
	$(BIN)/mypy

.PHONY: format
format: install ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: lock
lock: install ## Lock the newest allowed dependencies, with hashes
	$(LOCK) --upgrade requirements.in -o requirements.txt
	$(LOCK) --upgrade requirements-dev.in -o requirements-dev.txt
	$(LOCK) --upgrade requirements-bench.in -o requirements-bench.txt
	$(LOCK) --upgrade requirements-deployment.in -o requirements-deployment.txt

# A sentence that changed has to be translated anew: nothing is guessed.
CATALOGUES := verifier/translations
.PHONY: translations
translations: install ## Bring the catalogues of all languages up to date with the sentences in the code, and compile them
	$(BIN)/pybabel -q extract -F $(CATALOGUES)/babel.cfg -k words -k counted:1,2 --no-location --sort-output --project Verifier --version "" --msgid-bugs-address "" --copyright-holder "" -o $(VENV)/messages.pot .
	$(BIN)/pybabel -q update -i $(VENV)/messages.pot -d $(CATALOGUES) --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/pybabel -q compile -d $(CATALOGUES)

.PHONY: clean
clean: ## Remove .venv and caches
	rm -rf $(VENV) .venv-bench .venv-deployment .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
