#!/bin/sh
# Cargo calls this instead of rustc (RUSTC_WRAPPER): what is ours is built with coverage that guides libFuzzer.
rustc=$1
shift
case " $* " in
  *" --crate-name tributary "* | *"fuzz_targets/"*)
    set -- "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
      -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$rustc" "$@"
