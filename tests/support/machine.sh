# What ./check and ./try ask of the machine they run on. Sourced by them; `say` is theirs.
# shellcheck shell=bash

if [[ -n ${PGPILOT_TEST_CACHE:-} ]]; then cache=$PGPILOT_TEST_CACHE
elif [[ $(id -u) == 0 ]]; then cache=/var/cache/pgpilot
else cache=${HOME:?}/.cache/pgpilot; fi

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"
  elif have sudo; then sudo "$@"
  else echo "needs root or sudo: $*" >&2; return 1; fi
}

# Lists are fetched once a run and only when something is to be installed: a fresh container has none.
apt_lists() {
  have apt-get || { echo "no apt-get here: this is neither Debian nor Ubuntu" >&2; return 1; }
  [[ -n ${apt_lists_fetched:-} ]] && return
  # One repository out of reach is no reason to stop: what is missing shows when it is installed.
  as_root apt-get update -qq || echo "apt-get update did not succeed; going on with the lists that are here" >&2
  apt_lists_fetched=yes
}

apt_has() { [[ $(apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ { print $2 }') == [0-9]* ]]; }

apt_install() {
  apt_lists && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# Installs the distribution's PostgreSQL without the cluster "main" that Debian would start on port 5432.
apt_install_postgres() {
  local major=$1 policy=/etc/postgresql-common/createcluster.conf
  if [[ ! -e $policy ]]; then
    apt_install postgresql-common || return
    as_root sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' "$policy"
  fi
  apt_install "postgresql-$major"
}

# The bin folder of a major, in the order in which the tests look: an explicit one, the cache, the distribution's.
postgres_bin() {
  local explicit=PGPILOT_TEST_PG_$1 bin
  for bin in "${!explicit:-}" "$cache/pg/$1/bin" "/usr/lib/postgresql/$1/bin"; do
    if [[ -n $bin && -x $bin/postgres ]]; then echo "$bin"; return; fi
  done
  return 1
}

# A rustup that follows rust-toolchain.toml may find its server out of reach. Any newer stable builds as well, so one
# that is installed is used then.
choose_toolchain() {
  have cargo || { echo "cargo is not on PATH: install Rust (https://rustup.rs), then run this again" >&2; return 1; }
  cargo --version >/dev/null 2>&1 && return
  local toolchain
  if have rustup; then
    rustup toolchain install >/dev/null 2>&1 && cargo --version >/dev/null 2>&1 && return
    for toolchain in $(rustup toolchain list | awk '{ print $1 }' | sort -rV); do
      if RUSTUP_TOOLCHAIN=$toolchain cargo --version >/dev/null 2>&1; then
        export RUSTUP_TOOLCHAIN=$toolchain
        say "the toolchain of rust-toolchain.toml could not be had, going on with $toolchain"
        return
      fi
    done
  fi
  echo "cargo does not run: 'cargo --version' in this folder says why" >&2
  return 1
}
