# Every target sets up what it needs in .venv; `make demo` is the place to start.
.PHONY: demo demo-image test test-deploy test-ipvlan simulate chaos check fix docs bench bench-full \
	bench-standby lock clean
.DEFAULT_GOAL := demo
SHELL := /bin/bash

demo: .venv/ready
	@scripts/needs ip unshare
	@.venv/bin/vipmanager demo $(ARGS)

# The same from the built image, with the shipped ConfigMap and attachments.
demo-image: .venv/ready
	@scripts/needs ip unshare buildah debootstrap crun
	@scripts/image
	@.venv/bin/vipmanager demo --image build/image $(ARGS)

test: .venv/ready
	@scripts/needs ip unshare
	@.venv/bin/python -m pytest -q -n 2 $(ARGS)

# What is deployed, with the tools that deploy it; in `make test` the tests skip what is missing.
test-deploy: .venv/ready
	@scripts/needs ip unshare buildah debootstrap crun prometheus promtool
	@scripts/image
	@VIPMANAGER_TEST_DEPLOY=1 .venv/bin/python -m pytest -q -n 2 tests/deploy $(ARGS)

# The code that ships, in a simulated world: N schedules of faults, from the seed FIRST on.
simulate: .venv/ready
	@.venv/bin/python scripts/simulate --first $(or $(FIRST),0) --count $(or $(N),100000) $(ARGS)

# SEED=s123 (or a row of tests/simulation/rows.py) shows one schedule of the simulation.
# SEED=123 N=... plays the lab's, with real packets; without SEED it draws one.
chaos: .venv/ready
ifneq ($(SEED),$(filter-out s% A% B% S%,$(SEED)))
	@.venv/bin/python scripts/simulate $(SEED) $(ARGS)
else
	@scripts/needs ip unshare
	@.venv/bin/python scripts/chaos $(if $(SEED),--seed $(SEED)) --count $(or $(N),20) $(ARGS)
endif

# Real ipvlan and real CNI plugins: Debian's kernel in an emulated machine.
test-ipvlan: .venv/ready
	@scripts/needs ip unshare
	@scripts/test-ipvlan

check: .venv/ready
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/mypy --scripts-are-modules scripts/trim-models
	@.venv/bin/mypy --scripts-are-modules scripts/chaos
	@.venv/bin/mypy --scripts-are-modules scripts/show-off
	@.venv/bin/mypy --scripts-are-modules scripts/simulate
	@cd scripts/docs && MYPYPATH=../../src ../../.venv/bin/mypy --config-file ../../pyproject.toml *.py
	@cd scripts/bench && MYPYPATH=../../src ../../.venv/bin/mypy --config-file ../../pyproject.toml *.py
	@cd scripts/bench-standby && MYPYPATH=../../src ../../.venv/bin/mypy --config-file ../../pyproject.toml *.py
	@.venv/bin/lint-imports | tail -n 7

fix: .venv/ready
	@.venv/bin/ruff check --quiet --fix . || true
	@.venv/bin/ruff format --quiet .

bench: .venv/ready
	@scripts/needs ip unshare time
	@.venv/bin/python scripts/bench $(ARGS)

bench-full: .venv/ready
	@scripts/needs ip unshare time
	@.venv/bin/python scripts/bench --full $(ARGS)

# How long a client waits when a warm standby takes over: 300 lost nodes, half an hour.
bench-standby: .venv/ready
	@scripts/needs ip unshare
	@.venv/bin/python scripts/bench-standby $(ARGS)

# The parts of the documentation that tables in the code tell.
docs: .venv/ready
	@.venv/bin/python scripts/docs

# The pinned dependencies, with hashes and without the address of any index.
lock: .venv/ready
	@scripts/lock

.venv/ready: requirements/dev.txt pyproject.toml scripts/venv
	@scripts/venv

clean:
	rm -rf .venv build dist
