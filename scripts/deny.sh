#!/usr/bin/env bash
# deny.sh CARGO_DENY: licences, bans, duplicates, sources; and advisories, where their database can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
deny=$1

"$deny" --log-level error check bans sources licenses

if "$deny" fetch db >/dev/null 2>&1; then
  "$deny" --log-level error check advisories
else
  echo 'deny: SKIPPED advisories: https://github.com/RustSec/advisory-db cannot be reached from here'
fi
