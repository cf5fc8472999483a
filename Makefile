# The commands of everyday work; `make` alone lists them.
# Whatever a target needs and the machine lacks, scripts/setup installs first.

# Rust may have been installed a minute ago, before this shell read its profile.
export PATH := $(PATH):$(HOME)/.cargo/bin

# Standard output carries the answer alone (`make bench ARGS=--json | jq`):
# recipes are not echoed, setup and cargo speak on standard error.
celeriac := @cargo run --release -p celeriac-cli --

demo_options = $(if $(SAMPLES),--samples $(SAMPLES)) $(if $(CHUNKS),--chunks $(CHUNKS)) \
	$(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

chaos_options = $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	$(if $(DURATION),--duration $(DURATION)) $(if $(TASKS),--tasks $(TASKS)) $(if $(MIX),--mix $(MIX)) \
	$(if $(FAULTS),--faults $(FAULTS)) $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

# Both forms of the append-only file, unless it is said otherwise or measured on a server of yours.
bench_options = $(if $(findstring --aof,$(ARGS))$(findstring --redis,$(ARGS)),,--aof both) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help demo up bench chaos screenshots build test verify fmt setup-demo setup-test

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: setup-demo ## estimate Pi on two workers and a private Redis (SAMPLES= CHUNKS= WORKERS= ARGS=)
	$(celeriac) demo $(demo_options)

up: setup-demo ## Redis, workers and monitor for development, data in ./.celeriac (ARGS=)
	$(celeriac) up $(ARGS)

bench: setup-demo ## measure throughput, latency and memory, without and with append-only file (ARGS=)
	$(celeriac) bench $(bench_options)

chaos: setup-demo ## break everything and count what became of each task (SEED= ROUNDS= DURATION= TASKS= MIX= FAULTS= WORKERS= ARGS=)
	@cargo run --release -p celeriac-chaos -- $(chaos_options)

# All are left in target/screenshots; those that the docs show are renewed.
screenshots: setup-test ## pictures of every screen of the monitor, under load; renews those of the docs
	@cargo run --release -p celeriac-monitor --example screenshots -- target/screenshots
	@for picture in docs/images/*.png; do cp "target/screenshots/$${picture##*/}" "$$picture"; done

build: setup-demo ## build the command: target/release/celeriac
	@cargo build --release -p celeriac-cli

test: setup-test ## the whole gate: format, lints, docs, tests
	@scripts/test

verify: test ## another name for test

fmt: ## format all code
	@cargo fmt --all

setup-demo setup-test: setup-%:
	@scripts/setup $*
