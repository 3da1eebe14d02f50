#!/usr/bin/env bash
# Does the program build with the oldest Rust that Cargo.toml promises (`rust-version`)?
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/places.sh

wanted=$(from_toml rust-version Cargo.toml)
rustup_has() { rustup toolchain list 2>/dev/null | grep -q "^$wanted"; }

if command -v rustup >/dev/null 2>&1 && { rustup_has || rustup toolchain install "$wanted" --profile minimal --no-self-update >/dev/null 2>&1; }; then
  # A folder of its own: two versions of Rust would throw each other's results away.
  CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/msrv cargo "+$wanted" check --locked --quiet
  echo "msrv: builds with Rust $wanted"
else
  echo "msrv: SKIPPED building with Rust $wanted, which cannot be installed here; clippy's incompatible_msrv alone looked"
fi
