# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTEST_ARGS ?=
# Tests mostly wait for processes, so two cores can run three at a time. Tests of one file share a site and run together.
PYTEST_JOBS ?= 3
PYTEST  = $(BIN)/python -m pytest -n $(PYTEST_JOBS) --dist loadfile --no-loadscope-reorder
# This test needs os._exit to be a C function; coverage puts a Python function in its place.
NOT_COVERED := tests/unit/operation_process/test_process.py::test_the_process_exits_whatever_interrupts_its_end
MEASURED = $(PYTEST) --cov --cov-report=term --deselect $(NOT_COVERED)

.PHONY: help demo test check coverage bench soak docs browser rsync clean

help:
	@echo "make demo   run a control script and an observing workflow on a simulated slot, live in this terminal"
	@echo "            FULL=1 starts from a card that was never set up, with uxm_setup and uxm_relock; BANDS=8 sets up eight bands"
	@echo "make test   run all checks and tests; PYTEST_ARGS='tests/unit -k parser', PYTEST_JOBS=0 for one process"
	@echo "make check  format, lint, types and layers only"
	@echo "make coverage  run the unit tests and list their branch coverage, also of subprocesses; PYTEST_ARGS=tests for all tests"
	@echo "make bench  the figures, each beside its baseline"
	@echo "make soak   run a site under random faults for five minutes and report broken promises; SOAK_ARGS='--seconds 3600 --seed 1'"
	@echo "make docs   regenerate the generated pages of docs/reference"

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here; smurfq needs Python 3.11 or newer: make PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing smurfq, pysmurf and sodetlib into $(VENV): a few minutes the first time"
	@{ $(BIN)/python -m pip install --upgrade 'pip>=24' \
	  && $(BIN)/python -m pip install --editable '.[slot,sim,flower,archive,dev]'; } > $(VENV)/install.log 2>&1 \
	  || { tail -n 30 $(VENV)/install.log; echo "the installation failed; the whole log is in $(VENV)/install.log"; exit 1; }
	@touch $@

demo: $(STAMP)
	@$(BIN)/smurfq demo $(if $(FULL),--full) $(if $(BANDS),--full --bands $(BANDS))

check: $(STAMP)
	$(BIN)/ruff format --check smurfq tests benchmarks
	$(BIN)/ruff check smurfq tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# One test opens Flower's page in a real browser. If Chromium cannot be installed, the test is skipped; in CI it fails.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	  || echo "no chromium: the browser test is skipped (apt-get install chromium)"

# One test copies archived files with socs's copier, which calls rsync.
rsync:
	@command -v rsync >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq rsync >/dev/null; } \
	  || echo "no rsync: the test of socs's copier is skipped (apt-get install rsync)"

# The whole is two runs, since only the unit tests are measured: coverage makes them some 40 % slower.
test: $(STAMP) browser rsync check
ifeq ($(PYTEST_ARGS),)
	$(MEASURED) tests/unit; unit=$$?; $(PYTEST) tests/integration tests/soak tests/system $(NOT_COVERED) && exit $$unit
else
	$(PYTEST) $(PYTEST_ARGS)
endif

coverage: $(STAMP)
	$(MEASURED) $(or $(PYTEST_ARGS),tests/unit)

bench: $(STAMP)
	$(BIN)/python -m benchmarks

soak: $(STAMP)
	$(BIN)/python -m tests.soak $(SOAK_ARGS)

docs: $(STAMP)
	$(BIN)/python -m docs.generate

clean:
	rm -rf $(VENV) .smurfq .mypy_cache .ruff_cache .pytest_cache .hypothesis
