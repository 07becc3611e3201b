#!/usr/bin/env bash
# Measures what a short text costs on its way through the gateway to a websocket upstream and back, beside nginx, which ends TLS and passes the
# bytes on, one connection for each client; both on one core, the upstream and the load on another.
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
    *) sed -n '2,4s/^# //p' "$0" && exit 2 ;;
    esac
    shift
done
((${#clients[@]})) || clients=(50 500)
readonly upstream_port=19301 nginx_port=19444
readonly folder=$PWD/$here/.build/proxy
readonly text='{"type":"text","id":"########","text":"A text of about a hundred and twenty bytes, as people write to an assistant whom they ask for something that it knows.","stream":false}'

prepare
build $tools/upstream cc -O2 -Wall -Wextra -o $tools/upstream $here/Peers/upstream/upstream.c -lcrypto -- $here/Peers/upstream/*
mkdir -p "$folder"
cat >"$folder/nginx.conf" <<NGINX
worker_processes 1; daemon off; pid $folder/nginx.pid; error_log $folder/nginx.log;
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

taskset --cpu-list 1 $tools/upstream $upstream_port &
servers+=($!)
for ((round = 1; round <= rounds; round++)); do
    for count in "${clients[@]}"; do
        taskset --cpu-list 0 /usr/sbin/nginx -c "$folder/nginx.conf" 2>/dev/null &
        nginx=$!
        sleep 1
        worker=$(pgrep -P "$nginx" | head -n 1)
        printf 'nginx\t%s\t' "$count"
        taskset --cpu-list 1 $tools/load --port $nginx_port --pid "$worker" --welcome 0 --connections "$count" --text "$text" --replies 1 \
            --warm 1 --seconds "$seconds" || true
        kill "$nginx" && wait "$nginx" || true
        start_gateway 0 1 PARLEY_UPSTREAMS_FAR_KIND=websocket "PARLEY_UPSTREAMS_FAR_URLS=ws://127.0.0.1:$upstream_port" \
            PARLEY_UPSTREAMS_FAR_MAX_CONNECTIONS=0 PARLEY_ROUTES_ALL_UPSTREAMS=far
        printf 'parley\t%s\t' "$count"
        taskset --cpu-list 1 $tools/load --port "$port" --pid "$server" --connections "$count" --text "$text" --replies 2 --warm 1 \
            --seconds "$seconds"
        stop_server
    done
done
