# Everything runs in .venv, which `make setup` makes from pyproject.toml; every target that needs it makes it first.

PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup tools demo demo-full test verify prove coverage check clean

help:
	@echo "make demo       classify a photo with EfficientNet-Lite0 on the simulated RTL (a few minutes)"
	@echo "make demo-full  the same and a pruned VGG16 on the 756 threads of the preset paper (much longer)"
	@echo "make test       all fast tests (on $(JOBS) processes; JOBS=n changes that)"
	@echo "make verify     all tests, the long randomized ones too"
	@echo "make prove      the formal proofs"
	@echo "make coverage   toggle coverage of the registers and ports of hw/ under the tests"
	@echo "make check      ruff and mypy"
	@echo "make setup      .venv with all Python packages (the other targets do it by themselves)"
	@echo "make clean      remove build/ and the caches"

# --- environment ----------------------------------------------------------------------------------

# Every missing program is named, with the line that installs it, before anything else happens.
tools:
	@missing=0; \
	need() { echo "missing: $$1; install it with: $$2" >&2; missing=1; }; \
	if ! command -v $(PYTHON) >/dev/null; then need "python3 3.11 or newer" "apt-get install python3 python3-venv"; \
	elif ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  need "python3 3.11 or newer (PYTHON=... names another one)" "apt-get install python3.11 python3.11-venv"; \
	elif ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then need "python3-venv" "apt-get install python3-venv"; fi; \
	for tool in g++ make perl; do command -v $$tool >/dev/null || need $$tool "apt-get install $$tool"; done; \
	if [ $$missing = 1 ]; then exit 2; fi

setup: tools $(READY)

$(READY): pyproject.toml | tools
	@echo "installing the Python packages into .venv (a few minutes)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fpga,demo,dev]'
	@touch $@

# --- main jobs ------------------------------------------------------------------------------------

demo: $(READY)
	@$(BIN)/phantom demo

demo-full: $(READY)
	@$(BIN)/phantom demo --preset paper --output build/demo-full/efficientnet-lite0
	@$(BIN)/phantom demo --preset paper --network vgg16 --output build/demo-full/vgg16

test: $(READY)
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup -m "not verify"

verify: $(READY)
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup

prove: $(READY)
	@$(BIN)/python -m tests.formal --jobs $(JOBS)

coverage: $(READY)
	@$(BIN)/python -m phantom_sim.coverage

check: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/mypy

clean:
	@rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis
