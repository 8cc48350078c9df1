# The people's commands, and CI's. Stamps stand for what has been made, so that nothing unchanged is
# made again: dist/.wheel, dist/.data, .installed in an environment.

PYTHON ?= python3
ARGS ?=

PIP := bin/python -m pip --quiet --disable-pip-version-check
CODE := $(shell find rust python -type f ! -name '*.pyc') \
	Cargo.toml Cargo.lock pyproject.toml README.md LICENSE
DATA := $(shell find data -type f ! -path '*/build/*' ! -path '*.egg-info/*' ! -name '*.pyc')
WHEELS = dist/chainrule-*.whl dist/chainrule_mnist-*.whl

.PHONY: help train report docs test long lint bench bench-peers instructions wheel check-tools
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

train: .venv/.installed ## train on MNIST: prints the accuracy, saves the model (ARGS="--epochs 5")
	$(strip .venv/bin/chainrule train --force $(ARGS))
	@$(if $(filter -o% --output --output=% --json,$(ARGS)),:,printf '\nNext:\n  %s\n  %s\n  %s\n' \
	  '.venv/bin/chainrule info model.safetensors' \
	  '.venv/bin/chainrule evaluate model.safetensors' \
	  '.venv/bin/chainrule predict model.safetensors data/t10k-images-idx3-ubyte.gz')

report: .venv/.installed ## the report that this grew from, as one HTML page in report/
	.venv/$(PIP) install "$$(echo dist/chainrule-*.whl)[report]"
	$(strip .venv/bin/chainrule report --out report --force $(ARGS))

docs: .build/env/.installed ## docs/report/: the page of the report, and its picture in README
	.build/env/bin/python docs/report/make.py

# Only the kernels' own tests need them optimised, which takes minutes for each program.
test: .build/env/.installed ## every test, on both engines, against the installed wheel (ARGS="-k xor")
	cargo test --locked --lib
	cargo test --locked --profile dev --test allocations
	cargo test --locked --profile dev --doc
	cargo run --locked --quiet --example xor
	.build/env/bin/pytest $(ARGS)
	.build/env/bin/pytest --pyargs chainrule --doctest-modules

long: .build/env/.installed ## the tests that take minutes
	cargo test --locked --release --lib -- --ignored
	.build/env/bin/pytest -m long $(ARGS)

lint: export PYO3_PYTHON = $(CURDIR)/.build/env/bin/python
lint: export RUSTDOCFLAGS = -D warnings
lint: .build/env/.installed ## format, lints, types; everything denied
	cargo fmt --check
	cargo fmt --check --manifest-path benchmarks/instructions/Cargo.toml
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features python -- -D warnings
	cargo clippy --locked --manifest-path benchmarks/instructions/Cargo.toml --target-dir .build/instructions -- -D warnings
	cargo doc --locked --no-deps
	cargo doc --locked --no-deps --features python --document-private-items
	.build/env/bin/ruff check
	.build/env/bin/ruff format --check
	.build/env/bin/mypy
	.build/env/bin/python -m mypy.stubtest chainrule._core

bench: .build/env/.installed ## the benchmarks, and the report's network over ten seeds
	.build/env/bin/python benchmarks/gil.py
	.build/env/bin/python benchmarks/report_seeds.py test

instructions: check-tools ## instructions of the main paths, beside those recorded (ARGS=--record)
	$(PYTHON) benchmarks/instructions.py $(ARGS)

bench-peers: .build/bench/.installed ## beside JAX, PyTorch and others: an hour, 8 GB (ARGS=--quick)
	cargo build --locked --release --manifest-path benchmarks/rust-peers/Cargo.toml --target-dir .build/rust-peers
	.build/bench/bin/python benchmarks/peak.py $(filter --quick,$(ARGS))
	.build/bench/bin/python benchmarks/run.py $(ARGS)
	.build/bench/bin/python benchmarks/alone.py $(filter --quick,$(ARGS))
	$(if $(ARGS),,.build/bench/bin/python benchmarks/report.py)

wheel: dist/.wheel ## the release wheel, into dist/
	@ls dist/chainrule-*.whl

check-tools:
	@.ci/check-tools $(PYTHON)

# The Python that was asked for: another one makes all anew.
.build/python: check-tools
	@mkdir -p .build && echo $(PYTHON) | cmp -s - $@ || echo $(PYTHON) >$@

.build/tools/.made: .build/python
	$(PYTHON) -m venv --clear .build/tools
	.build/tools/$(PIP) install build
	@touch $@

# By way of the sdist, so that what is tested shows that both are whole. Built from nothing, as cargo
# goes by times: an sdist's are always the same, and what was built of another would count as made.
dist/.wheel: $(CODE) .build/tools/.made
	rm -rf dist/chainrule-*.whl dist/chainrule-*.tar.gz .build/wheel
	CARGO_TARGET_DIR=$(CURDIR)/.build/wheel .build/tools/bin/python -m build --outdir dist . \
	  >.build/wheel.log 2>&1 || { cat .build/wheel.log; exit 1; }
	rm -r .build/wheel
	@touch $@

dist/.data: $(DATA) .build/tools/.made
	rm -f dist/chainrule_mnist-*.whl
	.build/tools/$(PIP) wheel --no-deps --wheel-dir dist ./data
	@touch $@

# What people use: kept, with whatever else they have installed there.
.venv/.installed: dist/.wheel dist/.data
	test -x .venv/bin/python || $(PYTHON) -m venv --clear .venv
	.venv/$(PIP) install --force-reinstall --no-deps $(WHEELS)
	.venv/$(PIP) install "$$(echo dist/chainrule-*.whl)[progress]"
	@touch $@

# What the benchmarks of peers use: gigabytes, so made for `make bench-peers` alone.
.build/bench/.installed: dist/.wheel dist/.data benchmarks/requirements.txt
	test -x .build/bench/bin/python || $(PYTHON) -m venv --clear .build/bench
	.build/bench/$(PIP) install -r benchmarks/requirements.txt
	.build/bench/$(PIP) install --force-reinstall --no-deps $(WHEELS)
	@touch $@

# What tests and linters use: fresh whenever the wheel, the data or what they need has changed.
.build/env/.installed: dist/.wheel dist/.data
	$(PYTHON) -m venv --clear .build/env
	.build/env/$(PIP) install "$$(echo dist/chainrule-*.whl)[lint,progress,test]" dist/chainrule_mnist-*.whl
	@touch $@
