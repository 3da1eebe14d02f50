#!/usr/bin/env bash
# Runs every test and ends with the results alone, so that they are read even after a long log. What is given is given to
# `cargo test`.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/places.sh
# Kafka's and Postgres' data of the tests lie here, several hundred megabytes, and go with the last of them.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/tributary-tests.XXXXXX") || exit 1
export TMPDIR
# Where root runs the tests, Postgres runs as somebody else and has to get through.
chmod 711 "$TMPDIR"
log=$TMPDIR/log
trap 'rm -rf "$TMPDIR"' EXIT
kit=${TRIBUTARY_WORLDS:-../shared/worlds}

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
[ -e "$kit/fakeccloud.py" ] || echo "  no test kit at $kit (TRIBUTARY_WORLDS names another folder): the tests of synthetic organisations did nothing and say ok"
left=$(free_megabytes "$TMPDIR")
[ "$status" = 0 ] || [ "$left" -ge 1000 ] || echo "  only $left MB are left in $TMPDIR: what failed may have failed for that"
exit "$status"
