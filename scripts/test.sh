#!/usr/bin/env bash
# Runs every test and ends with the results alone, so that they are read even after a long log.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# One test reads the topics with another language's client.
TRIBUTARY_TEST_PYTHON=$(scripts/python-env.sh) || exit 1
export TRIBUTARY_TEST_PYTHON

cargo test --no-fail-fast "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

printf '\nSummary\n'
# Cargo names the program, the program prints the result: one line from both.
awk '/^ +Running |^ +Doc-tests /{name=$0; sub(/^ +/, "", name)}
     /^test result: /{print "  " $0 "  [" name "]"; passed+=$4; failed+=$6; ignored+=$8}
     END{printf "  in all: %d passed; %d failed; %d ignored\n", passed, failed, ignored}' "$log"
sed -n 's/^test \(.*\) \.\.\. FAILED$/  failed: \1/p' "$log"
exit "$status"
