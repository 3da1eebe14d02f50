#!/usr/bin/env bash
# Removes what the embedded Kafka and Postgres keep between runs. Refuses while they run.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/places.sh
data=$(data_folder)

[ -d "$data" ] || { echo "clean-data: nothing in $data"; exit 0; }
exec 9<>"$data/lock"
flock -n 9 || { echo "clean-data: $data is in use by process $(cat "$data/lock"); stop it first" >&2; exit 1; }
# By name: the folder may be one that somebody shares with other things.
rm -rf "${data:?}/kafka" "${data:?}/postgres"
echo "clean-data: removed kafka and postgres from $data"
