#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the operations listener of a gateway with 10,000 sessions on one event loop: the response times of its lists and of /metrics, and
# the delay that they and a message to all sessions cause for a client that sends 200 pings per second. The gateway runs on one core, the
# clients on another. With --console, measures the console in a headless Chromium instead: the time until each view has its content, and the
# longest task that blocks the page. --screenshots writes a picture of each view.
# usage: Tests/Benchmarks/operators.sh [--sessions N] [--requests N] [--binary PATH] [--console [--screenshots DIRECTORY]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. Tests/Benchmarks/common.sh

sessions=10000
requests=200
console=
screenshots=
while (($#)); do
    case $1 in
    --sessions) sessions=$2 && shift ;;
    --requests) requests=$2 && shift ;;
    --binary) binary=$2 && shift ;;
    --console) console=yes ;;
    --screenshots) screenshots=$2 && shift ;;
    *) sed -n '3,8s/^# //p' "$0" && exit 2 ;;
    esac
    shift
done

# Starts sessions that do nothing in the background: idle COUNT [ARGUMENT…]
idle() {
    taskset --cpu-list 1 $tools/load --port $port --pid "$server" --connections "$1" --idle --warm 0 --seconds 3600 "${@:2}" >/dev/null 2>&1 &
    servers+=($!)
}

# Prints a JSON Web Token of a user, signed with the first argument: client_token SECRET USER
client_token() {
    python3 - "$@" <<'P'
import base64, hashlib, hmac, json, sys, time

def encoded(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

claims = {"sub": sys.argv[2], "iat": int(time.time()), "exp": int(time.time()) + 7200}
signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
print(signed + "." + encoded(hmac.new(sys.argv[1].encode(), signed.encode(), hashlib.sha256).digest()))
P
}

prepare
if [[ -z "$console" ]]; then
    start_gateway 0 1
    idle "$sessions"
    taskset --cpu-list 1 python3 $here/operators.py --port "$port" --operations "$((port + 1))" --sessions "$sessions" --requests "$requests" \
        --load "$tools/load" --pid "$server" --longest "$(threshold operators)" --stall "$(threshold operators-stall)"
    exit
fi

# Programs of the tests, for Chromium and its protocol.
deploy/setup.sh test
secret=$(openssl rand -hex 32)
token=$(openssl rand -hex 16)
start_gateway 0 1 PARLEY_AUTH_MODE=jwt "PARLEY_AUTH_SECRET=$secret" PARLEY_CONNECTIONS_PER_USER=0 "PARLEY_OPERATIONS_TOKEN=$token"
ada=$(client_token "$secret" ada)
visitor=$(client_token "$secret" visitor)
idle "$((sessions - 20))" --header "Authorization: Bearer $visitor"
# The sessions of one user have turns.
taskset --cpu-list 1 $tools/load --port $port --pid "$server" --connections 20 --rate 0.5 --warm 0 --seconds 3600 --file $tools/text.json \
    --replies 2 --header "Authorization: Bearer $ada" >/dev/null 2>&1 &
servers+=($!)
if [[ -n "$screenshots" ]]; then mkdir -p "$screenshots"; fi
taskset --cpu-list 1 .build/venv/bin/python -B $here/console.py --port "$port" --operations "$((port + 1))" --sessions "$sessions" \
    --load "$tools/load" --pid "$server" --token "$token" --client-token "$visitor" --user ada --user-sessions 20 --first "$(threshold operators-first)" \
    --task "$(threshold operators-task)" ${screenshots:+--screenshots "$screenshots"}
