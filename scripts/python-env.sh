#!/usr/bin/env bash
# Makes the Python that a test needs and prints its path: that of tests/python/requirements.txt, which reads our topics, or
# that of the file of tests/python/ that is named (`contract`: what holds the API against its document).
# Kept between runs under target/, made again when the requirements change.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:-requirements}
place=${CARGO_TARGET_DIR:-target}/test-python${1:+-$1}
wanted=tests/python/$name.txt

mkdir -p "$(dirname "$place")"
place=$(realpath -m "$place")
# Written last: without it the folder is not finished.
if ! cmp -s "$wanted" "$place/finished.txt"; then
  echo 'test: installing the Python packages of the tests' >&2
  rm -rf "$place"
  python3 -m venv "$place" >&2
  "$place/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" >&2
  cp "$wanted" "$place/finished.txt"
fi
echo "$place/bin/python"
