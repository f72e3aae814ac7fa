# Every target makes .venv first when it is missing.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Two test processes for each core: many tests wait for sockets, clocks and other processes.
# Most tests wait for the disk; where there is room for it they write to memory.
ROOMY := $(shell [ -w /dev/shm ] && [ $$(df -k --output=avail /dev/shm | tail -1) -gt 4000000 ] && echo TMPDIR=/dev/shm)
# Each computes on one thread: threads that wait for a core burn the others' time. What was compiled is kept.
ALONE := OPENBLAS_NUM_THREADS=1 POLARS_MAX_THREADS=1 PYTHONDONTWRITEBYTECODE=
PYTEST := $(ROOMY) $(ALONE) $(BIN)/pytest -n $$((2 * $$(nproc))) --dist loadfile --no-loadscope-reorder --benchmark-disable

# Markets of the bench: those of docs/calibrating.md, or smaller ones of which a gate of 50 would leave nothing.
ALL_PEOPLE := --seeds 201 202 --accounts 12000 --days 30 --gate 50
FEW_PEOPLE := --seeds 201 --accounts 3000 --days 22 --gate 15

.PHONY: help install demo test fuzz postgresql lint types docs picture bench lock packages clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: .venv/installed ## make .venv and install the pinned versions

demo: .venv/installed ## sweep, calibrate and compare on a synthetic exchange; writes demo/report.html
	$(BIN)/liqtruth demo

test: .venv/installed ## run the test suite
	$(PYTEST)

fuzz: .venv/installed ## half a million mutated inputs over all doors, then many new random examples of the properties
	$(BIN)/python -m tests.fuzz --inputs 500000 --seed $$(date +%s) --processes $$(nproc)
	LIQTRUTH_HYPOTHESIS=fuzz $(BIN)/pytest -n auto --dist loadfile --benchmark-disable

postgresql: .venv/installed ## run the tests of what is stored on the server at LIQTRUTH_DATABASE_URL
	LIQTRUTH_DATABASE_URL=$${LIQTRUTH_DATABASE_URL:-postgresql://postgres@127.0.0.1:5432/test} $(BIN)/pytest -n auto \
	  --dist loadfile --benchmark-disable tests/indexer tests/storage tests/faults tests/test_cli_index.py

lint: .venv/installed ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed ## check types
	@mkdir -p .package && ln -sfn .. .package/liqtruth
	$(BIN)/mypy

docs: .venv/installed ## write docs/commands.md and the outputs shown in README.md and docs/python.md, from the program
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.pages

picture: demo ## draw docs/images/maps.png, the picture of the README, from the demo's data; needs Chromium
	$(BIN)/python -m docs.picture

bench: .venv/installed ## print the speeds of docs/trust.md as ratios of CPU time, beside those of others, models by family (synthetic), models on the real BTC map; FULL=1 at full size
	$(BIN)/pytest benchmarks -q --benchmark-only --benchmark-timer=time.process_time --benchmark-columns=min,median,rounds --benchmark-sort=min -o python_files="bench_*.py"
	$(BIN)/python benchmarks/bench_peers.py
	$(BIN)/python benchmarks/bench_families.py $(if $(FULL),$(ALL_PEOPLE),$(FEW_PEOPLE))
	[ ! -d ../shared/recorded ] || $(BIN)/python benchmarks/bench_real_map.py

lock: ## pin every dependency again, with hashes
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -o requirements.lock pyproject.toml
	rm -rf .venv-lock

packages: ## install Chromium (Debian), which draws --png pictures
	apt-get install -y chromium || (apt-get update && apt-get install -y chromium)

clean: ## remove .venv and what the tools wrote
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks *.egg-info
