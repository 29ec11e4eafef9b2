# Every target sets up what it needs in .venv; `make demo` is the place to start.
.PHONY: help demo demo-image test test-fast coverage test-deploy test-terraform test-ipvlan kubernetes \
	test-kubernetes simulate chaos check fix docs bench bench-full bench-standby lock release clean
.DEFAULT_GOAL := help
SHELL := /bin/bash

# A worker has a half of the tests, and takes from the other one's when it is through.
PYTEST = .venv/bin/python -m pytest -q -n 2 --dist worksteal

help: ## what there is
	@echo 'Start with `make demo`: a failover on this machine, in a minute. The first target that you'
	@echo 'run sets up .venv, once, in about two minutes.'
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1 \2/p' $(MAKEFILE_LIST) \
		| while read -r name said; do printf '  make %-16s %s\n' "$$name" "$$said"; done

demo: .venv/ready ## a failover between two zones of network namespaces, told as it happens
	@scripts/needs ip unshare
	@.venv/bin/vipmanager demo $(ARGS)

# The same from the built image, with the shipped ConfigMap and attachments.
demo-image: .venv/ready ## the same from the built image
	@scripts/needs ip unshare buildah debootstrap crun
	@scripts/image
	@.venv/bin/vipmanager demo --image build/image $(ARGS)

# Everything that needs no real Kubernetes.
test: .venv/ready ## everything that needs no real Kubernetes: about 20 minutes
	@scripts/needs ip unshare nft
	@$(PYTEST) --ignore=tests/kubernetes $(ARGS)

# Fewer examples, 30 schedules, and not the rows of the field that play long.
test-fast: .venv/ready ## core, engine and a short simulation: half a minute
	@scripts/needs ip unshare
	@VIPMANAGER_EXAMPLES=20 VIPMANAGER_SCHEDULES=30 $(PYTEST) \
		-m 'not slow' -k 'not B7 and not B8' tests/core tests/engine tests/simulation/test_rows.py \
		tests/simulation/test_schedules.py $(ARGS)

coverage: .venv/ready ## which lines of the core and the engine the fast tests do not run
	@$(MAKE) --no-print-directory test-fast ARGS='--cov --cov-report=term $(ARGS)'

# What is deployed, with the tools that deploy it; in `make test` the tests skip what is missing.
test-deploy: .venv/ready ## what deploy/ ships, with the tools that deploy it, and a release twice: about 8 minutes
	@scripts/needs ip unshare git buildah debootstrap crun prometheus promtool
	@scripts/image
	@scripts/release-twice
	@VIPMANAGER_TEST_DEPLOY=1 $(PYTEST) tests/deploy $(ARGS)

# With Terraform or OpenTofu on the PATH, which downloads the AWS provider unless it has it.
test-terraform: .venv/ready ## the Terraform module, applied beside a stack in moto: about 4 minutes
	@.venv/bin/python -c 'import shutil, sys; sys.exit(not (shutil.which("terraform") or shutil.which("tofu")))' \
		|| { echo "make test-terraform needs terraform or tofu on the PATH" >&2; exit 1; }
	@VIPMANAGER_TEST_TERRAFORM=1 .venv/bin/python -m pytest -q tests/deploy/test_terraform.py $(ARGS)

# The code that ships, in a simulated world: N schedules of faults, from the seed FIRST on.
simulate: .venv/ready ## random faults, simulated: N schedules from the seed FIRST on
	@.venv/bin/python scripts/simulate --first $(or $(FIRST),0) --count $(or $(N),100000) $(ARGS)

# SEED=s123 (or a row of tests/simulation/rows.py) shows one schedule of the simulation.
# SEED=123 N=... plays the lab's, with real packets; without SEED it draws one.
chaos: .venv/ready ## random faults with real packets; SEED=s7 shows a simulated one
ifneq ($(SEED),$(filter-out s% A% B% S%,$(SEED)))
	@.venv/bin/python scripts/simulate $(SEED) $(ARGS)
else
	@scripts/needs ip unshare
	@.venv/bin/python scripts/chaos $(if $(SEED),--seed $(SEED)) --count $(or $(N),20) $(ARGS)
endif

# Real ipvlan and real CNI plugins: Debian's kernel in an emulated machine.
test-ipvlan: .venv/ready ## real ipvlan and CNI plugins, under Debian's kernel in an emulated machine
	@scripts/needs ip unshare
	@scripts/test-ipvlan

# A real Kubernetes control plane for tests, built once into the user's cache; prints where.
kubernetes: .venv/ready ## builds a real Kubernetes control plane and Helm, once: about 12 minutes
	@scripts/kubernetes
	@scripts/helm

# What touches Kubernetes, against a real control plane; `make test` has ON_BOTH on the lab's own.
ON_BOTH = tests/contract/test_lease.py tests/edges/kubernetes tests/lab/kube tests/agent/standby \
	tests/agent/test_standby_commands.py tests/agent/test_events.py tests/lab/kubernetes tests/drill/test_killed.py
test-kubernetes: .venv/ready ## what touches Kubernetes, against that control plane: about 20 minutes
	@scripts/needs ip unshare
	@assets=$$(scripts/kubernetes) && helm=$$(scripts/helm) && \
		PATH=$$helm:$$PATH KUBEBUILDER_ASSETS=$$assets VIPMANAGER_TEST_KUBERNETES=1 \
		$(PYTEST) tests/kubernetes $(ON_BOTH) $(ARGS)

check: .venv/ready ## format, lint, types, layers, documentation
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/mypy --scripts-are-modules scripts/trim-models
	@.venv/bin/mypy --scripts-are-modules scripts/chaos
	@.venv/bin/mypy --scripts-are-modules scripts/show-off
	@.venv/bin/mypy --scripts-are-modules scripts/simulate
	@.venv/bin/mypy --scripts-are-modules scripts/resync
	@.venv/bin/mypy --scripts-are-modules scripts/lengths
	@cd scripts/docs && MYPYPATH=../../src:../../lab/src ../../.venv/bin/mypy --config-file ../../pyproject.toml *.py
	@cd scripts/release && MYPYPATH=../../src:../../lab/src ../../.venv/bin/mypy --config-file ../../pyproject.toml *.py
	@cd scripts/bench && MYPYPATH=../../src:../../lab/src ../../.venv/bin/mypy --config-file ../../pyproject.toml *.py
	@cd scripts/bench-standby && MYPYPATH=../../src:../../lab/src ../../.venv/bin/mypy --config-file ../../pyproject.toml *.py
	@set -o pipefail; .venv/bin/lint-imports | tail -n 12
	@.venv/bin/python scripts/lengths
	@.venv/bin/python scripts/docs --check
	@.venv/bin/python scripts/build-templates --check

fix: .venv/ready ## what the linters can mend themselves
	@.venv/bin/ruff check --quiet --fix . || true
	@.venv/bin/ruff format --quiet .

bench: .venv/ready ## speed, as ratios to a floor and to peers
	@scripts/needs ip unshare time
	@.venv/bin/python scripts/bench $(ARGS)

bench-full: .venv/ready ## the same, of more and larger worlds
	@scripts/needs ip unshare time
	@.venv/bin/python scripts/bench --full $(ARGS)

# How long a client waits when a warm standby takes over: hours; ARGS='--runs 12' is short, and
# ARGS='--only zone-lost --tables 10 --latencies real' a part of it.
# ARGS='--kubernetes own,real' compares the lab's own Kubernetes API with a real one.
bench-standby: .venv/ready ## outages of a takeover: hours; ARGS='--runs 12' is short
	@scripts/needs ip unshare
	@.venv/bin/python scripts/bench-standby $(ARGS)

# The parts of the documentation that tables in the code tell.
docs: .venv/ready ## writes what documents and deploy/ take from tables in the code
	@.venv/bin/python scripts/docs
	@.venv/bin/python scripts/build-templates

# The pinned dependencies, with hashes and without the address of any index.
lock: .venv/ready ## pins the dependencies anew
	@scripts/lock

# ARGS='--builder URI' names who builds; docs/release.md has all of it.
release: .venv/ready ## wheels, image, chart, SBOM, checksums and provenance of this commit, in dist/
	@scripts/needs git buildah debootstrap crun
	@.venv/bin/python scripts/release $(ARGS)

.venv/ready: requirements/dev.txt pyproject.toml lab/pyproject.toml scripts/venv
	@scripts/venv

clean: ## removes .venv and what was built
	rm -rf .venv build dist
