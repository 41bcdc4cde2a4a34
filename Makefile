# People, .ci/run and the GitHub workflows call the same targets; `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VENV ?= .venv
DIST ?= dist
FUZZ_SECONDS ?= 60
ifeq ($(OS),Windows_NT)
  BIN := $(VENV)/Scripts
else
  BIN := $(VENV)/bin
  # A toolchain that was installed a minute ago is not on the PATH of this shell yet.
  export PATH := $(PATH):$(HOME)/.cargo/bin
endif
RUN := $(BIN)/python
export PYTHON
# pyo3 asks this Python about itself when cargo is called without maturin.
export PYO3_PYTHON ?= $(abspath $(RUN))

# maturin refuses to choose between two environments.
MATURIN := env -u CONDA_PREFIX VIRTUAL_ENV="$(abspath $(VENV))" PATH="$(abspath $(BIN)):$$PATH" $(RUN) -m maturin
# One wheel serves every CPython from 3.11 up, but a free-threaded one needs its own build.
FEATURES = $(shell $(RUN) -c 'import sysconfig as s; print("--no-default-features" * bool(s.get_config_var("Py_GIL_DISABLED")))')
ifeq ($(shell uname -s),Linux)
  PORTABLE := --zig --compatibility manylinux2014
endif

OLDEST_RUST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)
PYTHON_CODE := python tests benches tools examples

# Stamps: an environment with maturin, the native module built into it, what models need, all of the `dev` extra.
CREATED := $(VENV)/.created
BUILT := $(VENV)/.built
MODELS := $(VENV)/.models
READY := $(VENV)/.ready

.PHONY: help
help: ## Say what the targets do
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Options: PYTHON=/path/to/python3.11+, PYTEST_ARGS='-k grid', BENCH_ARGS=--quick"

.PHONY: build
build: $(BUILT) ## Create .venv and build the native module into it

.PHONY: demo
demo: $(MODELS) ## Redraw a sheet with the bundled model; the pictures land in out/demo
	$(RUN) -m maskgrid demo --out out/demo --force

.PHONY: test
test: $(READY) ## Build and run every test of both languages
	cargo test --workspace
	$(RUN) -m pytest $(PYTEST_ARGS)

.PHONY: test-comfyui
test-comfyui: $(READY) ## Test the nodes inside a real ComfyUI: COMFYUI=path [ORIGINAL=path]
	$(RUN) tools/test_comfyui.py --comfyui "$(COMFYUI)" --original "$(ORIGINAL)" $(COMFYUI_ARGS)

.PHONY: fuzz
fuzz: $(READY) ## Attack the native module for FUZZ_SECONDS=60, under AddressSanitizer where there is a nightly
	tools/fuzz/run.sh $(RUN) $(FUZZ_SECONDS)

.PHONY: reliability
reliability: $(READY) ## Kill, interrupt, fork and tamper many times, and print what came of it
	$(RUN) tools/reliability.py

.PHONY: lint
lint: $(READY) ## Check style, types and layers of both languages
	$(RUN) -m ruff check $(PYTHON_CODE)
	$(RUN) -m ruff format --check $(PYTHON_CODE)
	$(RUN) -m mypy
	$(BIN)/lint-imports --no-cache
	@echo "The core knows no Python:"; cargo tree --locked -p maskgrid-core -e normal --prefix none | \
	  awk '/^(pyo3|numpy)/ { print; found = 1 } END { exit found }'
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: format
format: $(READY) ## Bring both languages into the project's style
	$(RUN) -m ruff check --fix $(PYTHON_CODE)
	$(RUN) -m ruff format $(PYTHON_CODE)
	cargo fmt --all

.PHONY: bench
bench: $(READY) ## Measure: criterion for the core, then benches/bench_*.py
	cargo bench -p maskgrid-core --bench '*' -- --warm-up-time 0.2 --measurement-time 0.6 --sample-size 10
	@for script in benches/bench_*.py; do \
	  echo "== $$script"; $(RUN) "$$script" $(BENCH_ARGS); \
	done

.PHONY: wheel
wheel: $(CREATED) ## Build the wheel and try it in every CPython of this machine
	rm -rf $(DIST)
	$(MATURIN) build --release --locked --interpreter $(RUN) $(FEATURES) $(PORTABLE) --out $(DIST)
	$(RUN) tools/wheel_smoke.py $(DIST)/*.whl

.PHONY: sdist
sdist: $(CREATED) ## Build the source archive, and a wheel from it that is tried out
	rm -rf $(DIST)
	$(MATURIN) sdist --out $(DIST)
	$(RUN) -m pip wheel --quiet --no-deps --wheel-dir $(DIST)/from-source $(DIST)/*.tar.gz
	$(RUN) tools/wheel_smoke.py $(DIST)/from-source/*.whl

.PHONY: website
website: $(READY) ## Build the documentation as a website, and check its links, in out/website
	$(RUN) -m pip install --quiet 'maskgrid[docs]'
	$(RUN) tools/build_website.py

.PHONY: docs
docs: website ## Draw the pictures of docs/ again, build the website and the documentation of the core
	@for script in tools/plot_*.py; do \
	  if [ -e "$$script" ]; then echo "== $$script"; $(RUN) "$$script"; fi; \
	done
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

.PHONY: clean
clean: ## Remove everything that the other targets made
	rm -rf $(VENV) $(DIST) out .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find python \( -name '_native*.so' -o -name '_native*.pyd' \) -delete
	cargo clean

.PHONY: rust
rust:
	@command -v cargo >/dev/null || { \
	  echo "maskgrid needs Rust $(OLDEST_RUST) or newer: install it from https://rustup.rs, then run make again" >&2; exit 1; }

$(CREATED): | rust
	@python="$$(tools/find_python.sh)"; echo "$(VENV) is made with $$("$$python" -VV)"; "$$python" -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip 'maturin[zig]>=1.9,<2'
	@touch $@

$(BUILT): $(CREATED) pyproject.toml $(RUST_SOURCES) | rust
	$(MATURIN) develop --release $(FEATURES)
	@touch $@

# The package is installed by now, so pip finds it there and adds what the extra asks for.
$(MODELS): pyproject.toml | $(BUILT)
	@echo "Installing torch and diffusers (several GB, once)"
	$(RUN) -m pip install --quiet 'maskgrid[diffusers]'
	@touch $@

$(READY): pyproject.toml | $(MODELS)
	@echo "Installing what tests, benchmarks and lint need"
	$(RUN) -m pip install --quiet 'maskgrid[dev]'
	@touch $@
