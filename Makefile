# `make` alone lists what there is. Everything real happens in cargo and in scripts/.

# Rust is often installed for one user and not in the PATH of a plain shell.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.PHONY: help setup build demo test lint bench sim noise fuzz deny clean-data
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

bench: setup ## run the benchmarks; figures and their meaning: docs/src/measurements.md
	cargo bench --bench codec --bench road

sim: ## run the core under N random schedules (N=10000)
	TRIBUTARY_SIM_SEEDS=$(or $(N),10000) cargo test --test simulation -- --nocapture

noise: ## damage the examples of each parser N times (N=20000)
	TRIBUTARY_NOISE=$(or $(N),20000) cargo test --test noise

fuzz: ## libFuzzer for T=avro, key, amount, billing_row, prometheus, rules or config, S=60 seconds; needs cargo-fuzz
	cd fuzz && mkdir -p corpus/$(T) && cargo +nightly fuzz run $(T) corpus/$(T) ../tests/golden/$(if $(filter avro,$(T)),wire,noise/$(T)) -- -max_total_time=$(or $(S),60)

deny: ## licences, advisories and duplicates of what we depend on; needs cargo-deny
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; else echo 'deny: SKIPPED: cargo install --locked cargo-deny'; fi

clean-data: ## remove what the embedded Kafka and Postgres keep between runs
	@scripts/clean-data.sh
