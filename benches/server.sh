# The scratch server that exporters are measured on. Sourced by benches/scrape, which has `say`, `die` and the cache.
# shellcheck shell=bash disable=SC2034,SC2154 # names come from there and go there

home='' bin='' port='' postmaster=''
declare -A pid=() listen=()

# PostgreSQL refuses to run as root.
unprivileged() {
  if [[ $(id -u) == 0 ]]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi
}

finish_server() {
  local id
  for id in "${!pid[@]}"; do stop "$id"; done
  if [[ -n $postmaster ]]; then
    unprivileged "$bin/pg_ctl" -D "$home/server/data" -m immediate -w stop >/dev/null 2>&1 || true
    postmaster=''
  fi
  if [[ -n $home ]]; then rm -rf "$home/server"; fi
}

cleanup() {
  local status=$?
  set +e # whatever fails in here, the rest is cleaned up all the same
  trap '' INT TERM HUP
  trap - EXIT
  finish_server
  if [[ -n $home ]]; then rm -rf "$home"; fi
  exit "$status"
}

newest_bin() {
  local major
  for major in 18 17 16 15 14; do postgres_bin "$major" && return; done
  return 1
}

find_server() {
  bin=$(newest_bin) && return
  if have npm && bin=$(tests/support/fetch-postgres 18); then return; fi
  die "no PostgreSQL server binaries: run ./check first, it gets some; or name a bin folder with PGPILOT_TEST_PG_18=/path/to/bin"
}

find_curl() { # 7.68 is the first that starts requests together
  have curl || apt_install curl >&2 || die "scrapes are made by curl, which is missing: install the package curl, then run this again"
}

free_port() {
  local candidate
  while candidate=$((20000 + RANDOM % 10000)); (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; do :; done
  echo "$candidate"
}

has_statements() { compgen -G "$bin/../lib/*/pg_stat_statements.so" >/dev/null || compgen -G "$bin/../lib/pg_stat_statements.so" >/dev/null; }

settings() {
  local library=''
  ! has_statements || library=pg_stat_statements
  # Nothing may happen by itself while we measure: no vacuum, no checkpoint. The locks are for the tables' transactions.
  cat <<-SETTINGS
	listen_addresses = '127.0.0.1'
	port = $port
	unix_socket_directories = ''
	fsync = off
	full_page_writes = off
	autovacuum = off
	checkpoint_timeout = '1d'
	max_wal_size = '20GB'
	max_connections = 200
	max_locks_per_transaction = 1024
	shared_buffers = '256MB'
	shared_preload_libraries = '$library'
	log_line_prefix = '%u|'
	log_checkpoints = off
	include 'logging.conf'
	SETTINGS
}

# Hundreds of tables a transaction: one each is slow, all in one wants locks without end.
tables() { # COUNT
  local id
  ! has_statements || echo $'create extension pg_stat_statements;\n'
  for id in "${all_ids[@]}"; do echo "create role watch_$id login in role pg_monitor;"$'\n'; done
  cat <<-STATEMENTS
	do \$\$
	begin
	  for i in 1..$1 loop
	    execute format('create table t_%s (id bigint primary key, at timestamptz not null default now(), v text)', i);
	    execute format('create index on t_%s (at)', i);
	    if i % 10 = 0 then
	      execute format('insert into t_%s (id, v) select g, repeat(''x'', 40) from generate_series(1, 200) g', i);
	      execute format('update t_%s set v = ''y'' where id <= 50', i);
	      execute format('delete from t_%s where id > 190', i);
	      execute format('select count(*) from t_%s', i);
	    end if;
	    if i % 250 = 0 then commit; end if;
	  end loop;
	end \$\$;

	analyze;

	STATEMENTS
}

# A server alone, without a port, is filled: that needs no client, and there may be none. Up to 14 the past of the tables is
# lost that way, their rows are not.
alone() { # OPTION… DATABASE, statements on standard input
  local log=$home/server/fill.log status=0
  (cd / && unprivileged "$bin/postgres" --single -j -c pg_stat_statements.track=all -D "$home/server/data" "$@") >"$log" 2>&1 || status=$?
  if grep -E '(ERROR|FATAL|PANIC): ' "$log" >&2 || [[ $status != 0 ]]; then die "the scratch server could not be filled: the lines above say why"; fi
}

start_server() { # TABLES
  local data=$home/server/data
  port=$(free_port)
  mkdir -m 711 "$home/server"
  mkdir -m 700 "$data"
  if [[ $(id -u) == 0 ]]; then chown 65534 "$data"; fi
  unprivileged "$bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C >"$home/server/fill.log" 2>&1 ||
    { tail -n 5 "$home/server/fill.log" >&2; die "initdb of the scratch server did not succeed: its last lines are above"; }
  : >"$data/logging.conf"
  settings >>"$data/postgresql.conf"
  say "filling a scratch server with $1 tables"
  echo "create database app" | alone postgres
  tables "$1" | alone app
  control -l "$data/server.log" start
  postmaster=$(head -n 1 "$data/postmaster.pid")
}

control() {
  (cd / && unprivileged "$bin/pg_ctl" -D "$home/server/data" -w -t 120 "$@") >"$home/server/pg_ctl.log" 2>&1 ||
    { tail -n 10 "$home/server/data/server.log" >&2; die "the scratch server did not do this: ${*: -1}; its last lines are above"; }
}
