# One target per thing a person does. Needs make and a Python >= 3.11, nothing else: each target
# makes the environment it needs, and stamps in $(VENV) keep a second call fast.

# A name is not enough: pyenv leaves names on the PATH behind which there is no interpreter.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3 python3.14 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1 && { echo $$p; break; }; done)
endif
VENV ?= .venv
# The interpreter that the built wheel is tried on.
WHEEL_PYTHON ?= $(BIN)/python
# What takes long and says nothing of packaging, or of the interpreter: the suite has run it, the
# wheel goes without, and tries every property on fewer examples.
LONG := tests/models tests/test_simulation tests/test_mutation_tool.py tests/test_same_tool.py \
	$(addprefix tests/test_actors/, test_injection.py) \
	$(addprefix tests/test_agents/, test_end_to_end.py test_on_exchange.py) \
	$(addprefix tests/test_analysis/, test_forgeries.py test_no_fill.py test_path_interval.py test_stories.py \
		test_verify.py) \
	$(addprefix tests/test_data/, test_malformed_run.py) \
	$(addprefix tests/test_markets/, test_conservation.py test_looking.py test_running.py \
		test_shipped_scenarios.py) \
	$(addprefix tests/test_repositories/, test_no_scan.py) \
	$(addprefix tests/test_scenarios/, test_cross_by_ticks.py test_decimal_contexts.py \
		test_every_kind_machine.py test_levels.py test_state_machine.py \
		test_look_ahead.py test_off_grid.py test_random_margin.py test_random_ticks.py test_random_trading.py \
		test_spot_exits.py) \
	$(addprefix tests/test_services/, test_order_book_random.py)
PYTEST_ARGS ?=
# Modules to mutate (ledger transactions account fees margin); none: all.
MUTATION_ARGS ?=
# What `make simulate` and `make soak` run.
SEEDS ?= 0:120
EVENTS ?= 5000
SOAK_SEED ?= 1000000
SOAK_HOURS ?= 1
# What `make models` compares; MODELS_ARGS="--model bars --jobs 2" and the like.
MODEL_SEEDS ?= 0:5000
MODELS_ARGS ?=
# For `make same`: a run, what to compare it with (a revision or a file), or how names begin.
RUN ?=
AGAINST ?=
ONLY ?=
# For `make walk`: broker or exchange.
WALK ?=
# For `make docs`: what orders came to, as `pytest -p tests.recording` wrote it; else it runs the tests.
ORDERS ?=
# A Parquet file of bars, for `make bench`.
BENCH_DATA ?=
# For `make bench-market`: an interpreter that can run ABIDES, and its checkout.
ABIDES ?=

BIN := $(VENV)/bin
# What is imported is compiled then: most of what the extras bring never is.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile
# Another PYTHON makes the environment anew: the stamp carries the interpreter's name.
MADE := $(VENV)/.made-with-$(subst /,_,$(PYTHON))

.DEFAULT_GOAL := help
.PHONY: help demo demo-hash test lint format types imports wheel examples bench bench-market conformance simulate \
	models planted soak same same-baseline walk coverage mutation browser docs clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.with-rich ## a backtest, end to end, with its report
	$(BIN)/python -m backtest demo

demo-hash: $(VENV)/.with-test ## the demo with each interpreter of this machine: the same journal and tables
	$(BIN)/python -m tools.demo_hash

test: $(VENV)/.with-test ## the test-suite
	$(BIN)/pytest --numprocesses auto $(PYTEST_ARGS)

lint: $(VENV)/.with-dev ## ruff: the rules and the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.with-dev ## ruff: mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.with-dev ## mypy, strict; no arithmetic in the caller's decimal context
	$(BIN)/mypy
	$(BIN)/python tools/check_decimals.py

imports: $(VENV)/.with-dev ## arrows point down; no wall clock, no unseeded randomness
	$(BIN)/lint-imports
	$(BIN)/python tools/check_determinism.py

wheel: $(VENV)/.with-dev ## build sdist and wheel; run the suite, less what is long, against the installed wheel
	HYPOTHESIS_PROFILE=brief $(BIN)/python tools/check_wheel.py --python $(WHEEL_PYTHON) -- --numprocesses auto \
		$(addprefix --ignore=,$(LONG)) $(PYTEST_ARGS)

examples: $(VENV)/.with-test ## run every example
	@set -e; for example in examples/*.py; do \
		echo "== $$example"; $(BIN)/python "$$example"; done

bench: $(VENV)/.with-test ## make bench BENCH_DATA=bars.parquet: engine speed, a JSON line a workload
	@test -n "$(BENCH_DATA)" || { echo "give bars: make bench BENCH_DATA=bars.parquet" >&2; exit 2; }
	@set -e; for workload in loop sma orders; do \
		$(BIN)/python benchmarks/bench.py --workload $$workload --data "$(BENCH_DATA)" --json; done

bench-market: $(VENV)/.with-test ## a market of agents; ABIDES=PYTHON:PATH runs that beside it
	$(BIN)/python benchmarks/market.py $(if $(ABIDES),--abides "$(ABIDES)")
	$(BIN)/python benchmarks/market.py --scale 100,1000,10000 --rounds 1

conformance: $(VENV)/.with-test ## run other engines beside this one and compare every fill: minutes
	$(BIN)/python conformance/run.py

simulate: $(VENV)/.with-test ## whole systems drawn from seeds, watched by the oracle
	$(BIN)/python -m backtest.testing.simulate --seeds $(SEEDS) --events $(EVENTS)

models: $(VENV)/.with-test ## random scenarios against the reference models in tests/models
	$(BIN)/python -m tests.models.fuzz --seeds $(MODEL_SEEDS) $(MODELS_ARGS)

planted: $(VENV)/.with-test ## bugs planted on purpose: the table of how each is found
	$(BIN)/python -m tests.plants.table

soak: $(VENV)/.with-test ## the long tests too, then seeds for SOAK_HOURS
	HYPOTHESIS_PROFILE=soak $(BIN)/pytest --soak $(PYTEST_ARGS)
	$(BIN)/python -m backtest.testing.simulate --seeds $(SOAK_SEED): --events $(EVENTS) \
		--hours $(SOAK_HOURS)

same: $(VENV)/.with-test ## which runs a change made different; RUN=NAME: the first row that does
	$(BIN)/python tools/same.py $(if $(RUN),show '$(RUN)' $(if $(AGAINST),--against '$(AGAINST)'),$(if $(ONLY),--only '$(ONLY)'))

walk: $(VENV)/.with-test ## what an order passes from the call to its fill; WALK=exchange: every frame
	$(BIN)/python tools/walk.py $(if $(WALK),--list '$(WALK)')

same-baseline: $(VENV)/.with-test ## say that what runs come to now is right: tests/same/baseline.txt
	$(BIN)/python tools/same.py --renew $(if $(ONLY),--only '$(ONLY)')

coverage: $(VENV)/.with-dev ## branch coverage of the suite; fails below what tools/check_coverage.py asks
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report
	$(BIN)/coverage json -q -o .coverage.json
	$(BIN)/python tools/check_coverage.py .coverage.json

mutation: $(VENV)/.with-test ## change the code that keeps money, and see whether a test notices: half an hour
	$(BIN)/python tools/mutate.py $(MUTATION_ARGS)

browser: $(VENV)/.with-browser ## pages in a real Chromium, which comes from the system: they draw, zoom and sort
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || command -v chromium-browser >/dev/null || { \
		echo "there is no chromium: sudo apt-get install chromium (Debian), or CHROMIUM=PATH" >&2; exit 2; }
	$(BIN)/pytest tests/test_browser --soak $(PYTEST_ARGS)

docs: $(VENV)/.with-dev ## links resolve, python blocks run, the table of orders is what tests show
	$(BIN)/python tools/check_docs.py
	$(BIN)/python tools/order_table.py --check $(if $(ORDERS),--record '$(ORDERS)')

clean: ## remove what the targets made
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.json .mypy_cache .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 with venv found: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is not a Python >= 3.11 with venv and ensurepip" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.with-rich: EXTRA := rich
$(VENV)/.with-test: EXTRA := test
$(VENV)/.with-dev: EXTRA := dev
$(VENV)/.with-browser: EXTRA := test,browser
$(VENV)/.with-%: $(MADE) pyproject.toml
	$(PIP) --editable '.[$(EXTRA)]'
	@touch $@
