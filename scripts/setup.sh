#!/usr/bin/env bash
# Makes a machine ready to build, test and demonstrate Tributary: compilers, Rust, Java, PostgreSQL, Kafka's jars.
# Safe to run again: does only what is missing and says so. Needs root only to install Debian packages.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/places.sh

rust_wanted=$(from_toml rust-version Cargo.toml)
kafka=$(from_xml kafka.version packaging/kafka/pom.xml)
export PATH="$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:/usr/sbin:/sbin"

# --- What is there? -----------------------------------------------------------------------------------------------

has() { command -v "$1" >/dev/null 2>&1; }

# OpenSSL is built from source with the librdkafka we ship; its Configure wants more than Debian's perl-base.
has_perl() { perl -MFindBin -MIPC::Cmd -MTime::Piece -MFile::Compare -e 1 2>/dev/null; }

java_program() {
  local own=${JAVA_HOME:+$JAVA_HOME/bin/java}
  if [ -x "$own" ]; then echo "$own"; else command -v java; fi
}
java_version() { local java; java=$(java_program) && "$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1; }
has_java() { at_least 17 "$(java_version || echo 0)"; }

postgres_version() {
  local folder
  for folder in ${TRIBUTARY_POSTGRES_BIN:-/usr/lib/postgresql/*/bin $(has postgres && dirname "$(readlink -f "$(command -v postgres)")")}; do
    [ -x "$folder/initdb" ] && "$folder/postgres" --version | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p'
  done | sort -n | tail -n 1
}
has_postgres() { at_least 15 "$(postgres_version)" ; }

rust_version() { rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p'; }
has_rust() { has cargo && at_least "$rust_wanted" "$(rust_version)"; }

jars_in() { [ -f "$1/kafka-$kafka/kafka_2.13-$kafka.jar" ]; }
has_jars() { jars_in "$(cache_folder)" || jars_in /var/cache/tributary; }

exporter=$(from_xml jmx-exporter.version packaging/metrics/pom.xml)
has_exporter() { [ -f "$(cache_folder)/jmx-exporter-$exporter/jmx_prometheus_javaagent-$exporter.jar" ] || [ -f "/var/cache/tributary/jmx-exporter-$exporter/jmx_prometheus_javaagent-$exporter.jar" ]; }

missing=()
need() { "${@:2}" || missing+=("$1"); }
need gcc has gcc
need g++ has g++
need make has make
need perl has_perl
need python3 has python3
need python3-venv python3 -c 'import ensurepip, venv' 2>/dev/null
need openjdk-17-jre-headless has_java
need postgresql has_postgres
has_jars && has_exporter || need maven has mvn

# --- Debian packages ----------------------------------------------------------------------------------------------

as_root() { if is_root; then "$@"; else sudo -n "$@"; fi; }
may_install() { has apt-get && { is_root || { has sudo && sudo -n true 2>/dev/null; }; }; }

install() {
  if ! may_install; then
    if has apt-get; then
      say "these Debian packages are missing. Run this as root, then again what you ran:"
      say "    apt-get update && apt-get install -y $*"
    else
      say "these are missing (names of Debian's packages): $*. Install them, then run this again."
    fi
    exit 1
  fi
  # The program starts a Postgres of its own: no need for one that runs for the whole machine, on port 5432.
  if [[ " $* " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
    say "telling Debian's postgresql not to create a cluster (/etc/postgresql-common/createcluster.conf)"
    as_root mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  say "installing Debian packages: $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

lists_are_fresh=
refresh_lists() {
  [ -z "$lists_are_fresh" ] && may_install || return 0
  say "refreshing Debian's package lists"
  as_root apt-get update -q
  lists_are_fresh=yes
}

if [ ${#missing[@]} -gt 0 ]; then
  refresh_lists
  install "${missing[@]}"
fi

# --- Rust ---------------------------------------------------------------------------------------------------------

candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/ *Candidate: \([0-9.]*\).*/\1/p'; }
from_debian() { local version; version=$(candidate "$1"); [ -n "$version" ] && at_least "$rust_wanted" "$version"; }

by_rustup() {
  say "installing the stable Rust with rustup"
  rustup toolchain install stable --profile minimal --component rustfmt --component clippy
  has_rust || rustup default stable
}

if ! has_rust; then
  say "Rust $rust_wanted or newer is needed, found: $(rust_version || true)"
  has rustup || ! has apt-get || refresh_lists
  if has rustup; then by_rustup
  elif [ -n "$(candidate rustup)" ]; then install rustup && by_rustup
  elif from_debian rustc; then install rustc cargo
  # Debian 12's own Rust is old, but it carries a newer one for building browsers. It has no clippy.
  elif from_debian rustc-web; then install rustc-web cargo-web rustfmt-web
  fi
  hash -r
  if ! has_rust; then
    say "please install Rust $rust_wanted or newer, for instance with rustup (https://rustup.rs), then run this again."
    exit 1
  fi
fi

# --- Kafka's jars -------------------------------------------------------------------------------------------------

unfinished=
trap '[ -z "$unfinished" ] || rm -rf "$unfinished"' EXIT

fetch_jars() {
  local cache target
  cache=$(cache_folder)
  target=$cache/kafka-$kafka
  mkdir -p "$cache"
  unfinished=$(mktemp -d "$cache/.kafka-$kafka.XXXXXX")
  say "fetching Apache Kafka $kafka with Maven into $target"
  mvn -q -B -Dstyle.color=never -f packaging/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory="$unfinished" </dev/null
  chmod 755 "$unfinished"
  # Renamed only when whole: one cut short is never taken for a finished one. Two set-ups at once: the other one was first, with the same jars.
  mv -T "$unfinished" "$target" 2>/dev/null || jars_in "$cache"
}

has_jars || fetch_jars

# --- What the tests measure a cluster with ------------------------------------------------------------------------

# Unpacked, not installed: Debian's package would start a Prometheus for the whole machine.
has_prometheus() { has prometheus || [ -x "$(cache_folder)/prometheus/usr/bin/prometheus" ] || [ -x /var/cache/tributary/prometheus/usr/bin/prometheus ]; }

fetch_prometheus() {
  if ! has apt-get; then
    say "there is no prometheus in PATH: the test on a real Kafka cluster will ask for it"
    return
  fi
  refresh_lists
  unfinished=$(mktemp -d "$(cache_folder)/.prometheus.XXXXXX")
  say "fetching Debian's prometheus into $(cache_folder)/prometheus"
  (cd "$unfinished" && apt-get download -q -q -o APT::Sandbox::User=root prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb)
  chmod 755 "$unfinished"
  mv -T "$unfinished" "$(cache_folder)/prometheus" 2>/dev/null || has_prometheus
}

fetch_exporter() {
  unfinished=$(mktemp -d "$(cache_folder)/.jmx-exporter.XXXXXX")
  say "fetching Prometheus' JMX exporter $exporter with Maven"
  mvn -q -B -Dstyle.color=never -f packaging/metrics/pom.xml dependency:copy-dependencies -DoutputDirectory="$unfinished" </dev/null
  chmod 755 "$unfinished"
  mv -T "$unfinished" "$(cache_folder)/jmx-exporter-$exporter" 2>/dev/null || has_exporter
}

mkdir -p "$(cache_folder)"
has_prometheus || fetch_prometheus
has_exporter || fetch_exporter
# A build, its tests and their services; what is built already is not asked for again.
needed=14000
[ -d "${CARGO_TARGET_DIR:-target}/debug" ] || [ -d "${CARGO_TARGET_DIR:-target}/release" ] || [ "$(free_megabytes .)" -ge $needed ] ||
  say "only $(free_megabytes .) MB are free here; a build with all its tests takes up to $needed"
say "ready: Rust $(rust_version), Java $(java_version), PostgreSQL $(postgres_version), Kafka $kafka"
