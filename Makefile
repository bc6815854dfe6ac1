# The two commands a newcomer needs: `make run` and `make test`. Both build .venv once, from constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROFILE ?= quick

.PHONY: run test lint long bench golden clean

run: $(STAMP)  ## load, break, shadow and roll back the reference service; end with its go/no-go report
	$(BIN)/gonogo run reference_service/readiness.toml --profile $(PROFILE)

test: $(STAMP) lint  ## every check and every test but the longest (make long); what is timed runs alone
	$(BIN)/python -m pytest -n auto -m "not slow and not alone and not bench and not long" $(PYTEST_ARGS)
	$(BIN)/python -m pytest -m "(slow or alone) and not bench and not long" $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

long: $(STAMP)  ## the few tests that would keep the suite from ending in twelve minutes
	$(BIN)/python -m pytest -m long $(PYTEST_ARGS)

bench: $(STAMP)  ## measure what is promised of speed; on a quiet machine, for minutes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	mkdir -p .benchmarks
	$(BIN)/python -m pytest tests/benchmarks -m bench --benchmark-json=.benchmarks/bench.json

golden: $(STAMP)  ## judge and render the golden run anew, after a deliberate change of either
	$(BIN)/python -m tests.golden.refresh

# With gcp: the contract of the experiments on Google Cloud is tested against a fake of it, by Google's own clients.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "gonogo needs Python 3.11 or later; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,dev,gcp]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
