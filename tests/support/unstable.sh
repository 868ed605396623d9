# Unpacks programs out of the packages of Debian's unstable release, which has the newest; nothing is installed, since
# installing would start them. Sourced by ./check and benches; `say`, `cache` and apt_has are there, and `home` is a
# folder for what is only needed meanwhile.
# shellcheck shell=bash disable=SC2154 # names come from there
#
# The release is read besides the machine's own sources, with lists of its own in that folder and no right but ours.

unstable_read='' # yes or no, once it was tried

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

# Only what came from unstable is kept, so that a machine that could not reach it tries again.
keep() { # FILE AS
  mkdir -p "$cache/bin"
  cp "$1" "$cache/bin/.$2.new" && mv "$cache/bin/.$2.new" "$cache/bin/$2"
}
