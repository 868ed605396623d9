# Times, memory, CPU and statements of a scrape. Sourced by benches/scrape, which knows the exporters.
# shellcheck shell=bash disable=SC2034,SC2154 # names come from there and go there

# The time is taken by curl inside of itself, from before it connects, so what it costs to start it is not in there.
get() { # ID PATH FORMAT [FILE [OPTION…]]: the body goes to the file
  curl -q --noproxy '*' -s -o "${4:-/dev/null}" --max-time 60 -w "$3" "${@:5}" "http://127.0.0.1:${listen[$1]}$2" || true
}

now() { echo "${EPOCHREALTIME/[.,]/}"; } # in µs

scrape() { # ID: sets took (µs), code and bytes
  local seconds
  read -r code seconds bytes < <(get "$1" /metrics '%{http_code} %{time_total} %{size_download}\n')
  took=$((10#${seconds/[.,]/}))
}

children() {
  cat "/proc/$postmaster/task/$postmaster/children" 2>/dev/null ||
    awk -v parent="$postmaster" '{ me = $1; sub(/.*\) /, ""); if ($2 == parent) print me }' /proc/[0-9]*/stat 2>/dev/null
}

# Sets spent: CPU time of a process in µs, and of the children that it has buried. Ticks are coarse, so where the kernel
# counts a process of one thread exactly, that is taken.
hz=$(getconf CLK_TCK)
process_cpu() { # PID [exact]
  local line fields ns=''
  spent=0
  read -r line 2>/dev/null <"/proc/$1/stat" || return 0
  read -r -a fields <<<"${line##*) }"
  if [[ ${2:-} == exact ]]; then read -r ns _ 2>/dev/null <"/proc/$1/schedstat" || ns=''; fi
  if [[ ${ns:-0} -gt 0 ]]; then spent=$((ns / 1000))
  else spent=$(((fields[11] + fields[12]) * 1000000 / hz)); fi
  spent=$((spent + (fields[13] + fields[14]) * 1000000 / hz))
} 2>/dev/null

# Sets server_spent: all of the server's processes, also those that have ended, in µs.
server_cpu() {
  local one spent
  server_spent=0
  for one in $(children) "$postmaster"; do
    process_cpu "$one" exact
    server_spent=$((server_spent + spent))
  done
}

sessions() { # ID: process ids of its sessions; the title names the role
  local one name
  for one in $(children); do
    IFS= read -r -d '' name 2>/dev/null <"/proc/$one/cmdline" || continue
    if [[ $name == "postgres: watch_$1 "* ]]; then echo "$one $name"; fi
  done 2>/dev/null
}

# Waits for the pause, then until no session works any more: pgpilot's second session may read on after the answer.
rest() {
  local id
  sleep "$pause"
  for _ in $(seq 600); do
    for id in "${ids[@]}"; do
      # Not grep -q: it would end before it has read all, and that counts as a failure of the pipe.
      if sessions "$id" | grep -v ' idle *$' >/dev/null; then sleep 0.05; continue 2; fi
    done
    return 0
  done
}

# Scrapes once and sets took, code, bytes, own_cost and server_cost (µs).
idle_rate=0 # what the server spends in a second without a scrape, µs
measure() { # ID
  local from spent own_before server_spent server_before
  server_cpu; server_before=$server_spent
  process_cpu "${pid[$1]}"; own_before=$spent
  from=$(now)
  scrape "$1"
  rest
  process_cpu "${pid[$1]}"; own_cost=$((spent - own_before))
  server_cpu; server_cost=$((server_spent - server_before - idle_rate * ($(now) - from) / 1000000))
}

measure_idle() {
  local server_spent before
  server_cpu; before=$server_spent
  sleep "$idle_seconds"
  server_cpu; idle_rate=$(((server_spent - before) / idle_seconds))
}

median() { sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : 0 }'; }
worst() { sort -n | tail -n 1; }
mean() { awk '{ s += $1 } END { print NR ? s / NR : 0 }'; }
kilobytes() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status" 2>/dev/null || true; }

session_memory() { # ID: kB
  local one
  while read -r one _; do kilobytes "$one" RssAnon; done < <(sessions "$1") | awk '{ s += $1 } END { print s + 0 }'
}

# The readings of one exporter, a file each, so that they can be sorted.
note() { echo "$3" >>"$home/server/$1.$2"; } # ID WHAT VALUE
noted() { cat "$home/server/$1.$2" 2>/dev/null || true; }

first_scrapes() { # ID: starts it some times, and leaves the last to run
  local nth
  for nth in $(seq "$firsts"); do
    launch "$1" || return
    sleep 1 # what it does by itself at its start is no part of a scrape
    rest
    measure "$1"
    [[ $code == 200 ]] || { stop "$1"; return 1; }
    note "$1" first "$took"
    [[ $nth == "$firsts" ]] || stop "$1"
  done
}

rounds() {
  local id nth
  for nth in $(seq "$scrapes"); do
    for id in "${ids[@]}"; do
      measure "$id"
      if [[ $code == 200 ]]; then note "$id" took "$took"; else note "$id" bad "$code"; fi
      note "$id" own "$own_cost"
      note "$id" server "$server_cost"
      note "$id" bytes "$bytes"
    done
  done
}

after_a_minute() {
  local id
  sleep 61
  for id in "${ids[@]}"; do
    measure "$id"
    note "$id" full_server "$server_cost"
  done
}

# --- what the server's log says ---------------------------------------------------------------------------------------

logging() { # on|off
  local data=$home/server/data lines=''
  if [[ $1 == on ]]; then lines=$'log_statement = all\nlog_connections = on\n'; fi
  printf '%s' "$lines" >"$data/logging.conf"
  control reload
  sleep 1 # sessions take it up when they are next idle
}

mark() { log_from=$(($(stat -c %s "$home/server/data/server.log") + 1)); }

logged() { # ID PATTERN: how many lines of its role since the mark
  tail -c "+$log_from" "$home/server/data/server.log" | grep -Ec "^watch_$1\|LOG:  ($2)" || true
}
statement='statement: |execute '

count_statements() {
  local id
  logging on
  for id in "${ids[@]}"; do
    for _ in 1 2 3 4 5; do
      mark; scrape "$id"; rest
      note "$id" statements "$(logged "$id" "$statement")"
      note "$id" connections "$(logged "$id" 'connection authorized: ')"
    done
  done
  logging off
}

together() { # ID: what one costs and what fifty at once cost, each after what pgpilot shares has grown old
  local one many good slowest
  stop "$1"
  launch "$1" || return 0
  scrape "$1"; rest; sleep 3.5 # in here is what is read once a minute
  mark; scrape "$1"; rest; one=$(logged "$1" "$statement")
  sleep 3.5
  mark
  get "$1" '/metrics?[1-50]' '%{http_code} %{time_total}\n' /dev/null --parallel --parallel-immediate --parallel-max 50 \
    >"$home/answers" 2>/dev/null
  rest; many=$(logged "$1" "$statement")
  good=$(grep -c ^200 "$home/answers" || true)
  slowest=$(awk '{ print $2 * 1000 }' "$home/answers" | worst)
  printf -- '- %s: 1 scraper %s statements, 50 at once %s statements (%s answered, the slowest after %.0f ms)\n' \
    "${title[$1]}" "$one" "$many" "$good" "$slowest"
}

all_together() {
  local id
  logging on
  echo
  echo "Scrapers at the same time, $1 tables:"
  echo
  for id in pgpilot postgres_exporter; do
    [[ -n ${pid[$id]:-} ]] || continue
    # Fifty sessions that each remember every table would need more memory than a small machine has.
    if [[ $id != pgpilot && $1 -gt 2000 ]]; then echo "- ${title[$id]}: not asked with more than 2000 tables"; continue; fi
    together "$id"
  done
  logging off
}
