# Where things lie: the same answers as src/embedded/data_dir.rs and kafka.rs. Meant to be sourced.

say() { printf 'setup: %s\n' "$*"; }

is_root() { [ "$(id -u)" = 0 ]; }

# The first folder of this user for downloaded programs; everybody's when root.
cache_folder() {
  if is_root; then echo /var/cache/tributary; else echo "${XDG_CACHE_HOME:-$HOME/.cache}/tributary"; fi
}

data_folder() {
  if [ -n "${TRIBUTARY_DATA_DIR:-}" ]; then echo "$TRIBUTARY_DATA_DIR"
  elif is_root; then echo /var/lib/tributary
  else echo "${XDG_DATA_HOME:-$HOME/.local/share}/tributary"; fi
}

# from_file KEY FILE: the text of <KEY>…</KEY> in XML, or of KEY = "…" in TOML.
from_xml() { sed -n "s|.*<$1>\(.*\)</$1>.*|\1|p" "$2" | head -n 1; }
from_toml() { sed -n "s|^$1 *= *\"\(.*\)\".*|\1|p" "$2" | head -n 1; }

# at_least WANTED HAVE: compares versions number by number.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# free_megabytes FOLDER: what can still be written there.
free_megabytes() { df -Pm "$1" | awk 'NR == 2 {print $4}'; }
