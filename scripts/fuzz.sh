#!/usr/bin/env bash
# fuzz.sh [SECONDS [TARGET...]]: libFuzzer on each parser of outside bytes (tests/noise/parsers.rs), guided by coverage.
#
# With any Rust, nightly or not: only our own code is instrumented, by flags that stable knows, so what is built of the
# dependencies is that of an ordinary debug build. What was found to be interesting is kept under the build folder.
# TRIBUTARY_FUZZ_SEED=n: the same inputs in the same order each time, for as far as the seconds reach.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-10}
shift || true
build=${CARGO_TARGET_DIR:-$PWD/target}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(sed -n '/pub const ALL/,/^];/s/^ *("\([a-z_]*\)", .*/\1/p' tests/noise/parsers.rs)
[ ${#targets[@]} -gt 0 ] || { echo "fuzz: tests/noise/parsers.rs names no parser" >&2; exit 1; }

CARGO_TARGET_DIR=$build RUSTC_WRAPPER=$PWD/scripts/fuzz-rustc.sh cargo build --quiet --manifest-path fuzz/Cargo.toml

for target in "${targets[@]}"; do
  seeds=tests/golden/noise/$target
  [ "$target" != avro ] || seeds=tests/golden/wire
  mkdir -p "$build/fuzz/$target"
  log=$build/fuzz/$target.log
  if ! TRIBUTARY_FUZZ_TARGET=$target "$build/debug/parsers" -seed="${TRIBUTARY_FUZZ_SEED:-0}" -max_total_time="$seconds" -timeout=10 \
      -rss_limit_mb=1024 -artifact_prefix="$build/fuzz/$target-" \
      "$build/fuzz/$target" "$seeds" >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "fuzz: $target failed; the input that did it is named above"
    exit 1
  fi
  printf 'fuzz: %-12s %s\n' "$target" "$(grep -a '^#.*\bDONE\b' "$log" | tail -n 1)"
done
