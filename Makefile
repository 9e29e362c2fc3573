# Coterie. `make test` is the one test command; `make help` lists the rest.
#
# One profile (release) and one build folder outside the checkout, kept between runs: RocksDB, which
# joins later, takes 10 to 20 minutes to compile (docs/decisions/0002-one-profile.md).
SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/coterie/target
export CARGO_TERM_COLOR ?= auto

.PHONY: help up demo test proof sim lint fmt deny bench instructions prepare prepare-tests prepare-valgrind

help:
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 20

prepare:
	@scripts/prepare

prepare-tests:
	@scripts/prepare tests

test: prepare-tests ## lint, then every test at its quick size; ends with passes and failures counted
	@scripts/test

proof: prepare-tests ## every test, model and simulation at full size, for the figures in docs/performance.md
	@COTERIE_PROOF=1 scripts/test

up: prepare ## three nodes on loopback with certificates, until Ctrl-C; says how to connect
	@scripts/up

demo: prepare ## a shop on five nodes at three levels, cut in two and robbed of a node: two minutes, with a report
	@cargo build --release --quiet --package coterie-node --bin coterie-node --package coterie-loadtest --bin coterie-loadtest
	@"$$CARGO_TARGET_DIR/release/coterie-loadtest" demo --html "$$CARGO_TARGET_DIR/demo.html"

sim: prepare ## whole clusters under injected faults, 2,000 seeds; `cargo run --release -p coterie-sim -- --help` for more
	cargo run --release -p coterie-sim -- --seeds 2000 --first-seed 1

lint: prepare ## formatting, clippy with warnings as errors, documentation links
	@scripts/lint

fmt: ## format the code
	cargo fmt --all

deny: ## licences, advisories, bans and sources by cargo-deny (needs the advisory database)
	cargo deny check

bench: prepare ## criterion timings of every crate
	cargo bench --workspace --bench time

instructions: prepare-valgrind ## instruction counts under valgrind, which a noisy machine cannot change
	cargo bench --workspace --bench instructions

prepare-valgrind: prepare
	@scripts/prepare valgrind
