# `make` alone lists what there is. Everything real happens in cargo and in scripts/.

# Rust is often installed for one user and not in the PATH of a plain shell.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.PHONY: help setup build demo test lint bench clean-data
.DEFAULT_GOAL := help

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

setup: ## install what is missing: Debian packages, Rust, Kafka's jars
	@scripts/setup.sh

build: setup ## build the program: target/release/tributary
	cargo build --release

demo: setup ## start everything with a made-up organisation and show who caused which cost
	cargo build --release
	@$(or $(CARGO_TARGET_DIR),target)/release/tributary demo

test: setup ## run every test, the ones with a real Kafka and Postgres included
	@scripts/test.sh

lint: ## formatting, clippy, documentation; warnings are errors
	@scripts/lint.sh

bench: setup ## run the benchmarks; figures and their meaning: docs/measurements.md
	cargo bench --bench allocation_core --bench codec --bench road

clean-data: ## remove what the embedded Kafka and Postgres keep between runs
	@scripts/clean-data.sh
