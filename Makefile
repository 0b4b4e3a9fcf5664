# make run            a homeserver on SQLite, in ./data
# make test           every test
# make test-postgresql, make test-yielding   the tests of the homeserver on other databases
# make check          format, lint, types, import contracts
# make conformance    the real Complement (ARGS="--package csapi --run TestLogin")
# make pairs          those of its tests that take two servers, with Synapse as one of them
# make bench          side by side with Synapse (ARGS="--rows whoami,send_16")
# make bench-federation  the same between servers (ARGS="--rows sends,inbound")

PYTHON_ENV := .venv/bin
DATA ?= data
ARGS ?=
# A file at a time each, in the order of the files: tests/conftest.py has first what waits longest. Three, as they wait
# for servers for a third of their time.
WORKERS := -n 3 --dist loadfile --no-loadscope-reorder
HOMESERVER_TESTS := tests/api tests/sync tests/services

.PHONY: run test test-postgresql test-yielding check format conformance pairs report bench bench-federation services clean

run: .venv/.run
	$(PYTHON_ENV)/palpo start --data $(DATA) $(if $(OPEN),--open-registration) $(ARGS)

test: .venv/.dev
	$(PYTHON_ENV)/python -m pytest $(WORKERS) $(ARGS)

test-postgresql test-yielding: test-%: .venv/.dev
	PALPO_TEST_DATABASE=$* $(PYTHON_ENV)/python -m pytest $(WORKERS) $(or $(ARGS),$(HOMESERVER_TESTS))

check: .venv/.dev
	$(PYTHON_ENV)/ruff format --check .
	$(PYTHON_ENV)/ruff check .
	$(PYTHON_ENV)/mypy
	$(PYTHON_ENV)/lint-imports

format: .venv/.dev
	$(PYTHON_ENV)/ruff format .
	$(PYTHON_ENV)/ruff check --fix .

conformance: .venv/.dev
	$(PYTHON_ENV)/palpo-conformance run $(ARGS)

pairs: .venv/.dev
	$(PYTHON_ENV)/palpo-conformance run --other synapse --rerun-failures --update-results $(ARGS) || [ $$? = 1 ]
	$(PYTHON_ENV)/palpo-conformance run --recipe synapse --other palpo --rerun-failures --update-results $(ARGS) || [ $$? = 1 ]
	$(PYTHON_ENV)/palpo-conformance pairs

report: .venv/.dev
	$(PYTHON_ENV)/palpo-conformance report

bench: .venv/.dev
	$(PYTHON_ENV)/python -m bench.side_by_side $(ARGS)

bench-federation: .venv/.dev
	$(PYTHON_ENV)/python -m bench.federation $(ARGS)

services:
	scripts/services install
	scripts/services start

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis conformance-out

.venv/.run: pyproject.toml
	scripts/bootstrap run
	touch $@

.venv/.dev: pyproject.toml laboratory/pyproject.toml
	scripts/bootstrap dev
	touch .venv/.run $@
