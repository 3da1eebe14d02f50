#!/usr/bin/env bash
# deny.sh CARGO_DENY: licences, bans, duplicates, sources; and advisories, where their database can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
deny=$1

"$deny" --log-level error check bans sources

# What the owner of the project has yet to decide is told each time, and fails nothing; deny.toml names it.
{ "$deny" --format json --log-level error check licenses 2>&1 || true; } | python3 -c '
import json, sys
undecided, rejected, whole = {"serde_serializer_quick_unsupported"}, set(), False
for line in filter(lambda line: line.startswith("{"), sys.stdin):
    answer = json.loads(line)
    whole |= answer["type"] == "summary"
    fields = answer["fields"]
    if answer["type"] != "summary" and fields.get("severity") == "error":
        name = (fields.get("graphs") or [{}])[0].get("Krate", {}).get("name", "?")
        licence = (fields.get("labels") or [{}])[0].get("span", "")
        print("deny", name, licence, fields.get("message"), sep=": ")
        rejected.add(name)
for name in rejected & undecided:
    print(f"deny: UNDECIDED: {name}, see [licenses] of deny.toml")
if not whole:
    print("deny: cargo-deny did not come to an end; run it by hand: make deny")
sys.exit(not whole or bool(rejected - undecided))'

if "$deny" fetch db >/dev/null 2>&1; then
  "$deny" --log-level error check advisories
else
  echo 'deny: SKIPPED advisories: https://github.com/RustSec/advisory-db cannot be reached from here'
fi
