#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the cost of a short text through the gateway to a websocket upstream and back, compared with nginx, which terminates TLS and
# forwards the bytes over one upstream connection per client. Each proxy runs on one core, the upstream and the load generator on another.
# Then measures the added latency at half the gateway's maximum load, compared with nginx and with a direct connection to the upstream.
# usage: Tests/Benchmarks/proxy.sh [--rounds N] [--seconds S] [--binary PATH] [CONNECTIONS …]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. Tests/Benchmarks/common.sh

rounds=3
seconds=5
clients=()
while (($#)); do
    case $1 in
    --rounds) rounds=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --binary) binary=$2 && shift ;;
    [0-9]*) clients+=("$1") ;;
    *) sed -n '3,7s/^# //p' "$0" && exit 2 ;;
    esac
    shift
done
((${#clients[@]})) || clients=(50 500)
readonly upstream_port=19301 nginx_port=19444
readonly directory=$PWD/$here/.build/proxy
readonly text='{"type":"text","id":"########","text":"A text of about a hundred and twenty bytes, as people write to an assistant whom they ask for something that it knows.","stream":false}'

prepare
build $tools/upstream cc -O2 -Wall -Wextra -o $tools/upstream $here/Peers/upstream/upstream.c -lcrypto -- $here/Peers/upstream/*
mkdir -p "$directory"
readonly results=$directory/results.tsv
: >"$results"
cat >"$directory/nginx.conf" <<NGINX
worker_processes 1; daemon off; pid $directory/nginx.pid; error_log $directory/nginx.log;
events { worker_connections 8192; }
http {
    access_log off;
    server {
        listen 127.0.0.1:$nginx_port ssl;
        ssl_certificate $PWD/$tools/cert.pem; ssl_certificate_key $PWD/$tools/key.pem; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        location / {
            proxy_pass http://127.0.0.1:$upstream_port; proxy_http_version 1.1;
            proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection upgrade;
        }
    }
}
NGINX

# Prints one line of results, and sets `half` to half the messages per second of each connection: measure NAME CONNECTIONS OPTIONS…
measure() {
    local name=$1 count=$2 line
    shift 2
    line=$(taskset --cpu-list 1 $tools/load --connections "$count" --text "$text" --warm 1 --seconds "$seconds" "$@") || true
    read -r half report < <(python3 -c '
import json, sys
data = json.loads(sys.argv[1])
rate = data["messages_per_s"]
print(rate / data["connections"] / 2, "%.0f/s, cpu %.1f us, p50 %.2f ms, p99 %.2f ms" % (
    rate, data["cpu_us"], data["p50_us"] / 1000, data["p99_us"] / 1000))
' "$line") || fail "no results for $name: $line"
    printf '%-22s %4s connections: %s\n' "$name" "$count" "$report"
    printf '%s\t%s\t%s\n' "$name" "$count" "$line" >>"$results"
}

start_nginx() {
    taskset --cpu-list 0 /usr/sbin/nginx -c "$directory/nginx.conf" 2>/dev/null &
    nginx=$!
    servers+=("$nginx")
    sleep 1
    worker=$(pgrep -P "$nginx" | head -n 1)
}

stop_nginx() {
    kill "$nginx" && wait "$nginx" || true
    unset 'servers[-1]'
}

through_nginx=(--port $nginx_port --welcome 0 --replies 1)
through_gateway=(--port "$port" --replies 2)

taskset --cpu-list 1 $tools/upstream $upstream_port &
servers+=($!)
for ((round = 1; round <= rounds; round++)); do
    for count in "${clients[@]}"; do
        start_nginx
        measure nginx "$count" "${through_nginx[@]}" --pid "$worker"
        stop_nginx
        start_gateway 0 1 PARLEY_UPSTREAMS_FAR_KIND=websocket "PARLEY_UPSTREAMS_FAR_URLS=ws://127.0.0.1:$upstream_port" \
            PARLEY_UPSTREAMS_FAR_MAX_CONNECTIONS=0 PARLEY_ROUTES_ALL_UPSTREAMS=far
        measure parley "$count" "${through_gateway[@]}" --pid "$server"
        paced=(--rate "$half" --tick 100)
        measure "parley, half load" "$count" "${through_gateway[@]}" --pid "$server" "${paced[@]}"
        stop_server
        start_nginx
        measure "nginx, same load" "$count" "${through_nginx[@]}" --pid "$worker" "${paced[@]}"
        stop_nginx
        measure "upstream, same load" "$count" --plain --port $upstream_port --welcome 0 --replies 1 "${paced[@]}"
    done
done

# The ratio of CPU time at full load, round by round, beside its threshold.
missed=0
for count in "${clients[@]}"; do
    python3 -c '
import json, statistics, sys
path, count, threshold = sys.argv[1:]
costs = {"nginx": [], "parley": []}
for row in open(path, encoding="utf-8"):
    name, connections, data = row.rstrip("\n").split("\t")
    if connections == count and name in costs:
        costs[name].append(json.loads(data)["cpu_us"])
ratio = statistics.median(ours / theirs for theirs, ours in zip(costs["nginx"], costs["parley"]))
met = not threshold or ratio <= float(threshold)
verdict = "met" if met else "missed"
print(f"ratio of CPU time, {count} connections: {ratio:.2f}" + (f", at most {threshold}: {verdict}" if threshold else ""))
sys.exit(not met)
' "$results" "$count" "$(threshold "proxy-$count" 2>/dev/null || true)" || missed=1
done
exit "$missed"
