# Gets the exporters that benches/scrape compares pgpilot with. Sourced by it; `say`, `cache`, `home` and apt_has are there.
# shellcheck shell=bash disable=SC2034,SC2154 # names come from there and go there
#
# They are unpacked out of packages, never installed: installing would start them. Debian's unstable release has the newest,
# so it is read besides the machine's own sources, with lists of its own in a temporary folder and no right but ours.

unstable_read='' # yes or no, once it was tried
# NAME_program is where it is, else NAME_lacking says why not; NAME_config is what it reads.
postgres_exporter_program='' postgres_exporter_lacking=''
pg_exporter_program='' pg_exporter_lacking='' pg_exporter_config=''

runs() { [[ -x $1 ]] && "$1" --version >/dev/null 2>&1; }

# The mirror of Debian that this machine is set up for; a machine without one (Ubuntu) has none. The origin is not known
# before the lists were ever read, so on Debian no origin is good as well: who is no mirror is found out by its signature.
debian_mirror() {
  local without=no
  if grep -q '^ID=debian' /etc/os-release 2>/dev/null; then without=yes; fi
  # shellcheck disable=SC2016 # the fields are apt's
  apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -F '|' -v without=$without '($1 == "Debian" || $1 == "" && without == "yes") && $2 !~ /security/ && !n++ { print $2 }'
}

beside() { # apt-get that knows unstable and nothing else
  local folder=$home/unstable
  apt-get -q -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- \
    -o Dir::State="$folder/state" -o Dir::State::status="$folder/status" -o Dir::Cache="$folder/cache" \
    -o APT::Sandbox::User="$(id -un)" -o APT::Update::Error-Mode=any -o APT::Default-Release= \
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# apt checks the signature: what is not signed by a key of this file is refused.
unstable_lists() {
  local mirror tried='' folder=$home/unstable keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  if [[ -n $unstable_read ]]; then [[ $unstable_read == yes ]]; return; fi
  unstable_read=no
  { have apt-get && have dpkg-deb; } || { echo "no apt-get here" >&2; return 1; }
  [[ -e $keyring ]] || apt_install debian-archive-keyring >/dev/null || return
  mkdir -p "$folder/state/lists/partial" "$folder/cache/archives/partial"
  : >"$folder/status"
  for mirror in "$(debian_mirror)" http://deb.debian.org/debian; do
    [[ -n $mirror && ${mirror%/} != "$tried" ]] || continue
    tried=${mirror%/}
    say "reading the package lists of Debian unstable from $tried"
    echo "deb [signed-by=$keyring] $tried unstable main" >"$folder/sources.list"
    if beside update >"$folder/log" 2>&1; then unstable_read=yes; return; fi
  done
  tail -n 3 "$folder/log" >&2
  return 1
}

# Prints the folder that holds the unpacked package.
unpack_unstable() {
  local into=$home/unstable/$1
  mkdir -p "$into"
  (cd "$into" && beside download "$1" >log 2>&1 && dpkg-deb -x ./*.deb x) || { tail -n 3 "$into/log" >&2; return 1; }
  echo "$into/x"
}

unpack_own() { # the same out of the machine's own sources
  local into=$home/own/$1
  mkdir -p "$into"
  have apt-get || return
  apt_has "$1" || { apt_lists && apt_has "$1"; } || return
  (cd "$into" && apt-get -o APT::Sandbox::User="$(id -un)" download -qq "$1" && dpkg-deb -x ./*.deb x) >/dev/null || return
  echo "$into/x"
}

# Only what came from unstable is kept, so that a machine that could not reach it tries again.
keep() { # FILE AS
  mkdir -p "$cache/bin"
  cp "$1" "$cache/bin/.$2.new" && mv "$cache/bin/.$2.new" "$cache/bin/$2"
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
