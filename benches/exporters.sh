# Gets the exporters that benches/scrape compares pgpilot with. Sourced by it; `say`, `cache`, `home` and apt_has are there.
# shellcheck shell=bash disable=SC2034,SC2154 # names come from there and go there

# shellcheck source=../tests/support/unstable.sh
source tests/support/unstable.sh

# NAME_program is where it is, else NAME_lacking says why not; NAME_config is what it reads.
postgres_exporter_program='' postgres_exporter_lacking=''
pg_exporter_program='' pg_exporter_lacking='' pg_exporter_config=''

unpack_own() { # the same out of the machine's own sources
  local into=$home/own/$1
  mkdir -p "$into"
  have apt-get || return
  apt_has "$1" || { apt_lists && apt_has "$1"; } || return
  (cd "$into" && apt-get -o APT::Sandbox::User="$(id -un)" download -qq "$1" && dpkg-deb -x ./*.deb x) >/dev/null || return
  echo "$into/x"
}

find_postgres_exporter() {
  local package=prometheus-postgres-exporter unpacked
  postgres_exporter_program=${BENCH_POSTGRES_EXPORTER:-$cache/bin/$package}
  runs "$postgres_exporter_program" && return
  [[ -z ${BENCH_POSTGRES_EXPORTER:-} ]] || die "BENCH_POSTGRES_EXPORTER: $postgres_exporter_program does not run"
  if unstable_lists && unpacked=$(unpack_unstable "$package"); then
    if runs "$unpacked/usr/bin/$package"; then keep "$unpacked/usr/bin/$package" "$package"; return; fi
    say "Debian unstable's $package does not run here (its C library is newer); trying the distribution's own"
  fi
  if unpacked=$(unpack_own "$package") && runs "$unpacked/usr/bin/$package"; then
    say "comparing with the distribution's own $package, which may be old"
    postgres_exporter_program=$unpacked/usr/bin/$package
    return
  fi
  postgres_exporter_program='' postgres_exporter_lacking="could not be had: neither Debian unstable nor this distribution gave it"
}

find_pg_exporter() {
  local unpacked
  pg_exporter_program=${BENCH_PG_EXPORTER:-$cache/bin/pg_exporter}
  pg_exporter_config=${BENCH_PG_EXPORTER_CONFIG:-$cache/bin/pg_exporter.yml}
  runs "$pg_exporter_program" && [[ -e $pg_exporter_config ]] && return
  [[ -z ${BENCH_PG_EXPORTER:-} ]] || die "BENCH_PG_EXPORTER: $pg_exporter_program does not run, or $pg_exporter_config is missing"
  if unstable_lists && unpacked=$(unpack_unstable pg-exporter) && runs "$unpacked/usr/bin/pg_exporter"; then
    keep "$unpacked/etc/pg_exporter/pg_exporter.yml" pg_exporter.yml
    keep "$unpacked/usr/bin/pg_exporter" pg_exporter
    return
  fi
  pg_exporter_program='' pg_exporter_lacking="not offered by this distribution"
  [[ $unstable_read == yes ]] || pg_exporter_lacking="could not be had: Debian unstable could not be read"
}
