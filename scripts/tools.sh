#!/usr/bin/env bash
# Installs what `make lint` checks dependencies with, and prints the folder it is in. Built once, into the user's cache: a
# few minutes. Where no registry can be reached it says so and leaves what is missing missing.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/places.sh

tools=$(cache_folder)/tools

# need NAME VERSION
need() {
  [ "$("$tools/bin/$1" --version 2>/dev/null | sed -n 's/^[^0-9]*\([0-9.]*\).*/\1/p')" = "$2" ] && return
  say "building $1 $2 into $tools" >&2
  # Its own folder for what is built: nothing of it belongs to this package.
  env -u CARGO_TARGET_DIR cargo install --quiet --locked --root "$tools" --version "$2" "$1" >&2 ||
    say "$1 could not be installed; is a registry of crates within reach?" >&2
}

need cargo-deny 0.20.2
need cargo-machete 0.9.2
echo "$tools/bin"
