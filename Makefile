# `make` alone lists what there is. Everything real happens in cargo and in scripts/.

# Rust is often installed for one user and not in the PATH of a plain shell.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.PHONY: help setup build demo test lint bench bench-api sim mutants crash soak noise fuzz deny clean-data
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

lint: ## formatting, clippy, documentation, dependencies, oldest Rust; warnings are errors
	@scripts/lint.sh

bench: setup ## run the benchmarks; figures and their meaning: docs/src/measurements.md
	cargo bench --bench codec --bench road

bench-api: setup ## ask the API over ten million rows: pages, sums, files, 200 readers at once
	cargo bench --bench api

sim: ## run the core under N random schedules (N=10000)
	TRIBUTARY_SIM_SEEDS=$(or $(N),10000) cargo test --test simulation -- --nocapture

crash: setup ## kill, cut and stall everything in N rounds on a real Kafka and Postgres (N=20); SEED=n begins there
	TRIBUTARY_CRASH_ROUNDS=$(or $(N),20) TRIBUTARY_CRASH_SEED=$(or $(SEED),$(shell date +%s)) cargo test --test it rounds_of_faults -- --nocapture

soak: setup ## let one process gather T tenants for M minutes while their bills change, and watch its memory (M=10 T=50)
	TRIBUTARY_SOAK_MINUTES=$(or $(M),10) TRIBUTARY_SOAK_TENANTS=$(or $(T),50) cargo bench --bench soak

mutants: ## break the core in known ways and see that the simulation notices
	@scripts/mutants.py

noise: ## damage the examples of each parser N times (N=20000)
	TRIBUTARY_NOISE=$(or $(N),20000) cargo test --test noise

fuzz: ## libFuzzer on every parser of outside bytes, S=10 seconds each; or on T=avro, key, bill, config, ...
	@scripts/fuzz.sh $(or $(S),10) $(T)

deny: ## licences, advisories and duplicates of what we depend on: everything that cargo-deny says
	@"$$(scripts/tools.sh)"/cargo-deny check

clean-data: ## remove what the embedded Kafka and Postgres keep between runs
	@scripts/clean-data.sh
