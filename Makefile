# Two commands matter: `make preview STACK=dev` and `make test`. Everything they need they set up themselves.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
STACK  ?= dev
DIFF   ?=
ARGS   ?=
PLUGINS ?=
PROJECT ?= .
# one more than there are cores: tests wait for servers
JOBS   ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 2) + 1)))

VENV := .venv
PY   := $(VENV)/bin/python
READY := $(VENV)/.ready
CODE := __main__.py components policy sandbox tests bench docs

.PHONY: help setup preview sandbox sandbox-down prove render policy test tools test-fast test-sandbox test-proof test-vault lint format bench bench-datapath bench-tenants bench-redaction lock docs ledger charts clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(READY) ## Create the Python environment from the lock file, hashes checked
$(READY): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	@echo "Python environment: installing the locked packages into $(VENV) (about a minute) …"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

preview: $(READY) ## Preview STACK=dev|prod (PROJECT=examples/ecommerce) on the real engine, offline; DIFF=1 shows its diff
	@$(PY) -m sandbox.preview --stack $(STACK) --project $(PROJECT) $(if $(DIFF),--diff) $(if $(PLUGINS),--plugins $(PLUGINS))

sandbox: $(READY) ## Two regions of the platform on this machine, as root on Linux: real nodes, what Pulumi.local.yaml says on them
	@$(PY) -m sandbox.local up

sandbox-down: $(READY) ## End the sandbox; nothing of it is left
	@$(PY) -m sandbox.local down

prove: $(READY) ## What the running sandbox does: calls, attacks, outages, rotations; writes build/proof/proof.{json,html}
	@$(PY) -m sandbox.proof $(if $(ONLY),--only $(ONLY))

render: $(READY) ## Write every Kubernetes object of STACK to build/manifests
	@$(PY) -m sandbox.render --stack $(STACK) --project $(PROJECT)

policy: $(READY) ## Judge the recorded state of STACK, or STATE=<export.json>, with the policy pack
	@$(PY) -m policy.judge --stack $(STACK) $(if $(STATE),--state $(STATE))

test: $(READY) ## Lint, types, the tools that the tests drive (built once, minutes), then every test but the sandbox's
	@$(MAKE) --no-print-directory --jobs=2 lint tools
	@$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not sandbox"

tools: $(READY) ## Build the engine and the tools that the tests drive, each once
	@$(PY) -m sandbox.engine
	@$(PY) -m sandbox.toolchain $$($(PY) -c 'from sandbox.toolchain import default_tools; print(*default_tools())') > /dev/null

test-fast: $(READY) ## Every test but those of the slow suites (tests/conftest.py); the tools must stand, make tools builds them
	@$(PY) -m pytest -n $(JOBS) --dist loadfile -m "not slow and not sandbox"

test-sandbox: $(READY) ## The sandbox's own suites, then test-proof, as root on Linux; what they run is built once
	@$(PY) -m sandbox.toolchain $$($(PY) -c 'from sandbox.local.nodes import PROGRAMS; print(*PROGRAMS)') \
		app helm pause spire-agent spire-oidc spire-server valkey-front > /dev/null
	@$(PY) -m pytest -n $(JOBS) --dist loadfile tests/sandbox --ignore tests/sandbox/test_proof.py
	@$(MAKE) --no-print-directory test-proof

test-proof: $(READY) ## The platform started, proven and ended, as root on Linux; ends a sandbox that runs
	@$(PY) -m pytest tests/sandbox/test_proof.py

test-vault: $(READY) ## The suites of Vault's server on HashiCorp's own, built once (ten minutes); make test asks OpenBao
	@$(PY) -m sandbox.toolchain vault > /dev/null
	@ZEROTRUST_SECRETS_SERVER=hashicorp $(PY) -m pytest -n $(JOBS) --dist loadfile tests/engine/test_vault_*.py

lint: $(READY) ## Ruff, mypy, yamllint and the import contracts
	@$(VENV)/bin/ruff check --quiet $(CODE)
	@$(VENV)/bin/ruff format --quiet --check $(CODE)
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/yamllint --strict .
	@mkdir -p build && $(VENV)/bin/lint-imports --no-logo > build/lint-imports.log 2>&1 || { cat build/lint-imports.log; exit 1; }

format: $(READY) ## Format the code
	@$(VENV)/bin/ruff format $(CODE)
	@$(VENV)/bin/ruff check --fix --quiet $(CODE) || true

bench: $(READY) ## Measure preview against its floor; writes build/bench/bench.json
	@$(PY) -m bench.preview

bench-datapath: $(READY) ## Measure a call through the running sandbox against a bare Envoy; writes build/bench/datapath.json
	@$(PY) -m bench.datapath

bench-tenants: $(READY) ## Measure what a tenant costs at 2, 20 and 200 of them; writes build/bench/tenants.json (an hour; ARGS=--compile-only)
	@$(PY) -m bench.tenants $(ARGS)

bench-redaction: $(READY) ## Measure the log agents' redaction against the same pipeline without it; writes build/bench/redaction.json
	@$(PY) -m bench.redaction

docs: $(READY) ## Regenerate the reference pages and the picture from the program
	@$(PY) -m docs.generate

ledger: $(READY) ## Rewrite the URN ledgers after an intended change; review the diff: a line removed is a resource replaced
	@$(PY) -m tests.support.ledger

charts: $(READY) ## Record the digests of the pinned Helm charts, and refuse one that changed (needs a network)
	@$(PY) -m sandbox.chart_digests

lock: $(READY) ## Rewrite the lock files from requirements*.in (needs uv)
	uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11 -o requirements.txt requirements.in
	uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11 -o requirements-dev.txt requirements-dev.in

clean: ## Remove build/; the tool cache outside the tree stays
	rm -rf build
