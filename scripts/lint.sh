#!/usr/bin/env bash
# Formatting, clippy, documentation, dependencies, oldest Rust; warnings are errors. What cannot be checked on this
# machine is told in a line that says SKIPPED.
set -euo pipefail
cd "$(dirname "$0")/.."

run() { printf 'lint: %s\n' "$*"; "$@"; }
skip() { printf 'lint: SKIPPED %s\n' "$*"; }

run cargo fmt --all --check
if cargo clippy --version >/dev/null 2>&1; then
  run cargo clippy --all-targets --quiet -- -D warnings -D clippy::incompatible_msrv
else
  skip 'clippy: it is not part of this Rust. With rustup: rustup component add clippy'
fi
RUSTDOCFLAGS='-D warnings' run cargo doc --no-deps --quiet

tools=$(scripts/tools.sh)
if [ -x "$tools/cargo-machete" ]; then
  run "$tools/cargo-machete" .
else
  skip 'unused dependencies: cargo-machete is missing'
fi
if [ -x "$tools/cargo-deny" ]; then
  run scripts/deny.sh "$tools/cargo-deny"
else
  skip 'licences, bans, duplicates, advisories: cargo-deny is missing'
fi
run scripts/msrv.sh
echo 'lint: all fine'
