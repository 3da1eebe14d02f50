#!/usr/bin/env bash
# Formatting, clippy and documentation, warnings being errors.
set -euo pipefail
cd "$(dirname "$0")/.."

run() { printf 'lint: %s\n' "$*"; "$@"; }

run cargo fmt --all --check
if cargo clippy --version >/dev/null 2>&1; then
  run cargo clippy --all-targets --quiet -- -D warnings
else
  echo 'lint: SKIPPED clippy: it is not part of this Rust. With rustup: rustup component add clippy'
fi
RUSTDOCFLAGS='-D warnings' run cargo doc --no-deps --quiet
echo 'lint: all fine'
