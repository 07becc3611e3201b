#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shows the dashboard with live data: starts a gateway with an upstream and some clients, and Prometheus with the rules and alerts of this
# directory. After half a minute it queries each expression of the dashboard, and lists those without data.
# usage: demo.sh [--keep]
#   --keep   goes on until interrupted; if grafana-server is installed, also with Grafana
# Exit code 1 if a panel is empty or a rule fails. PARLEY_EXECUTABLE names a gateway that is already built.
set -euo pipefail
readonly here="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/install.sh

readonly monitoring="$PWD/deploy/monitoring"
readonly examples="$PWD/deploy/examples"
readonly python="$PWD/.build/examples-venv/bin/python"
readonly start_timeout_seconds=30
# Two of the surveys by which the gateway measures its sessions, every ten seconds.
readonly load_seconds=24

keep=false
case "${1:-}" in
'') ;;
--keep) keep=true ;;
*) fail 'usage: demo.sh [--keep]' ;;
esac

log() { printf 'demo: %s\n' "$*" >&2; }

# Starts a part in its own process group; it ends with this script, even if the script is killed.
start() {
    local name=$1
    shift
    : >"$directory/$name.log"
    setsid setpriv --pdeathsig TERM "$@" </dev/null >>"$directory/$name.log" 2>&1 &
    pids[$name]=$!
}

fail_with_log() {
    log "$2; the last lines of its log:"
    tail -n 20 "$directory/$1.log" >&2
    exit 1
}

# Waits until a line of a part's log matches the expression, and stores the expression's group in `found`.
await() {
    local name=$1 expression=$2 deadline=$((SECONDS + start_timeout_seconds))
    while true; do
        found="$(sed -nE "s/.*$expression.*/\1/p" "$directory/$name.log" | head -n 1)"
        [[ -z "$found" ]] || return 0
        kill -0 "${pids[$name]}" 2>/dev/null || fail_with_log "$name" "the $name exited before it was ready"
        ((SECONDS < deadline)) || fail_with_log "$name" "the $name wasn't ready within $start_timeout_seconds s"
        sleep 0.1
    done
}

clean_up() {
    local status=$? pid
    trap '' INT TERM HUP
    for pid in "${pids[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do
        for _ in {1..50}; do
            kill -0 -- "-$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$pid" 2>/dev/null || true
    done
    rm -rf "$directory"
    exit "$status"
}

declare -A pids=()
directory="$(mktemp --directory --tmpdir parley-monitoring-XXXXXXXX)"
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The programs.
deploy/examples/setup.sh
if [[ -n "${PARLEY_EXECUTABLE:-}" ]]; then
    executable="$(cd "$here" && realpath -e "$PARLEY_EXECUTABLE")" || fail "PARLEY_EXECUTABLE: $PARLEY_EXECUTABLE doesn't exist"
else
    log 'building (some minutes the first time)'
    deploy/build.sh >&2
    executable="$PWD/.build/release/parley"
fi
prometheus="$(command -v prometheus || true)"
if [[ -z "$prometheus" ]]; then
    unpack_package .build/prometheus prometheus usr/bin/prometheus usr/bin/promtool
    prometheus="$PWD/.build/prometheus/usr/bin/prometheus"
fi

# The gateway, with an upstream that speaks, a process, and an upstream that is down.
start upstream "$python" "$monitoring/demo.py" upstream
await upstream '"port": ([0-9]+)'
mkdir "$directory/config"
cat >"$directory/config/gateway.yaml" <<CONFIGURATION
heartbeat: {interval: 5s, timeout: 2s}
store: {kind: sqlite}
upstreams:
  assistant:
    kind: websocket
    urls: [ws://127.0.0.1:$found]
  shout:
    kind: process
    command: [python3, $examples/upstream_process.py]
  nobody:
    kind: http
    urls: [http://127.0.0.1:9/]
routes:
  assistant:
    upstreams: [assistant]
  shout:
    meta: [to=process]
    upstreams: [shout]
  nobody:
    meta: [to=nobody]
    upstreams: [nobody]
CONFIGURATION
start gateway env --chdir="$directory" --unset=PARLEY_EXECUTABLE "$executable" serve --environment development --config "$directory/config" \
    --listen.address 127.0.0.1:0 --operations.address 127.0.0.1:0 --logging.format json
await gateway '"msg":"listening","address":"[^"]*:([0-9]+)"'
readonly url="wss://localhost:$found/v1/ws"
await gateway 'Server started and listening on ([0-9.:]+)'
readonly operations="$found"

# Prometheus, on a free port that the kernel chooses for a moment.
port="$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
cat >"$directory/prometheus.yml" <<CONFIGURATION
global:
  scrape_interval: 1s
  evaluation_interval: 5s
rule_files:
  - $monitoring/parley-rules.yml
  - $monitoring/parley-alerts.yml
scrape_configs:
  - job_name: parley
    static_configs:
      - targets: ['$operations']
CONFIGURATION
start prometheus "$prometheus" --config.file="$directory/prometheus.yml" --storage.tsdb.path="$directory/data" \
    --web.listen-address="127.0.0.1:$port"
await prometheus '(Server is ready to receive web requests)'
start clients "$python" "$monitoring/demo.py" clients "$url" "$directory/var/development-cert.pem"
log "the gateway serves $url and http://$operations/metrics; Prometheus is at http://127.0.0.1:$port"

for ((second = 0; second < load_seconds; second++)); do
    sleep 1
    for name in "${!pids[@]}"; do
        kill -0 "${pids[$name]}" 2>/dev/null || fail_with_log "$name" "the $name exited"
    done
done
status=0
"$python" "$monitoring/demo.py" check "http://127.0.0.1:$port" "$monitoring/parley-dashboard.json" || status=$?
"$keep" || exit "$status"

if command -v grafana-server >/dev/null; then
    mkdir -p "$directory/provisioning/datasources" "$directory/provisioning/dashboards"
    cat >"$directory/provisioning/datasources/prometheus.yaml" <<CONFIGURATION
apiVersion: 1
datasources:
  - {name: Prometheus, type: prometheus, access: proxy, url: 'http://127.0.0.1:$port', isDefault: true, jsonData: {timeInterval: 1s}}
CONFIGURATION
    cat >"$directory/provisioning/dashboards/parley.yaml" <<CONFIGURATION
apiVersion: 1
providers:
  - {name: parley, type: file, options: {path: '$monitoring'}}
CONFIGURATION
    start grafana env GF_PATHS_DATA="$directory/grafana" GF_PATHS_PROVISIONING="$directory/provisioning" GF_SERVER_HTTP_ADDR=127.0.0.1 \
        GF_AUTH_ANONYMOUS_ENABLED=true GF_AUTH_ANONYMOUS_ORG_ROLE=Admin GF_ANALYTICS_REPORTING_ENABLED=false \
        GF_ANALYTICS_CHECK_FOR_UPDATES=false grafana-server --homepath /usr/share/grafana
    log 'Grafana is at http://127.0.0.1:3000/d/parley'
fi
log 'press Ctrl-C to stop'
wait
