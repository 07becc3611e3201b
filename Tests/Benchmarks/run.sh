#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compares the gateway's costs with those of a C++ server that does the same work; prints the ratios and whether they meet thresholds.tsv.
# usage: Tests/Benchmarks/run.sh [--rounds N] [--seconds S] [--binary PATH] [--server-core N] [--load-core N] [--long] [LINE …]
# Lines: ping text long audio idle accept ticket chunks loops deflate, and sessions (10,000 of them for ten minutes), which --long adds.
# Each round restarts the servers, one after the other, so that other load on the machine affects all of them. The exit status is 1 when a
# threshold is missed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. Tests/Benchmarks/common.sh

rounds=3
seconds=5
server_core=0
load_core=1
lines=()
long=()
while (($#)); do
    case $1 in
    --rounds) rounds=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --binary) binary=$2 && shift ;;
    --server-core) server_core=$2 && shift ;;
    --load-core) load_core=$2 && shift ;;
    --long) long=(sessions) ;;
    ping | text | long | audio | idle | accept | ticket | chunks | loops | deflate | sessions) lines+=("$1") ;;
    *) sed -n '3,7s/^# //p' "$0" && exit 2 ;;
    esac
    shift
done
((${#lines[@]})) || lines=(ping text long audio idle accept ticket chunks loops deflate)
lines+=("${long[@]}")
[[ "${lines[*]}" != sessions ]] || rounds=1
(($(nproc) > 1)) || fail 'two cores are required: one for the server, one for the load generator'

readonly open_audio='{"type":"audio","id":"a","format":{"codec":"pcm16","rate":16000,"channels":1}}'
readonly ping='{"type":"ping","id":"########"}'

# Sets the load generator's options for one line of the table.
options_for() {
    case $1 in
    ping) options=(--text "$ping") ;;
    text) options=(--file $tools/text.json --replies 2) ;;
    long) options=(--file $tools/long.json --replies 2) ;;
    audio) options=(--binary --file $tools/audio.pcm --replies 0 --rate 50 --connections 400 --hello "$open_audio") ;;
    idle) options=(--idle --connections 5000 --warm 0 --seconds 2) ;;
    accept) options=(--idle --connections 3000 --warm 0 --seconds 0) ;;
    ticket) options=(--idle --connections 3000 --warm 0 --seconds 0 --resume) ;;
    # The rate keeps the server busy most of the time, but doesn't overload it.
    chunks) options=(--binary --file $tools/chunk.pcm --replies 0 --rate 200 --hello "$open_audio") ;;
    loops) options=(--text "$ping" --connections 25) ;;
    # A text long enough for its response to be compressed. The load generator doesn't inflate responses.
    deflate) options=(--file $tools/middle.json --replies 2 --connections 500 --header 'Sec-WebSocket-Extensions: permessage-deflate') ;;
    esac
}

# Appends one line to the results: measure LINE SERVER ROUND OPTIONS…
measure() {
    local line=$1 name=$2 round=$3 result
    shift 3
    result=$(taskset --cpu-list "$load_core" $tools/load --port "$port" --pid "$server" --warm 1 --seconds "$seconds" "$@") ||
        fail "$line on $name failed: $result"
    printf '%s\t%s\t%s\t%s\n' "$line" "$name" "$round" "$result" >>"$results"
}

# First one loop shares a core with one load generator, then two loops share two cores with two generators. The generators use the same
# share of the processor time in both runs, so the difference is the loops' interference.
measure_loops() {
    local round=$1 one first second=$here/.build/second.json pid
    options_for loops
    start_gateway "$server_core" 1
    options+=(--port "$port" --seconds "$seconds")
    one=$(taskset --cpu-list "$server_core" $tools/load --pid "$server" "${options[@]}") || fail 'one loop failed'
    stop_server
    start_gateway "$server_core,$load_core" 2
    taskset --cpu-list "$load_core" $tools/load "${options[@]}" >"$second" &
    pid=$!
    first=$(taskset --cpu-list "$server_core" $tools/load --pid "$server" "${options[@]}") || fail 'two loops failed'
    wait "$pid" || fail 'two loops failed'
    stop_server
    printf 'loops\t%s\t%s\t%s\n' one "$round" "$one" first "$round" "$first" second "$round" "$(<"$second")" >>"$results"
}

# Measures the cost of compression, and the memory that an idle connection retains for it afterwards.
measure_deflate() {
    local round=$1 mode
    options_for deflate
    for mode in off shared dedicated; do
        start_gateway "$server_core" 1 "PARLEY_WEBSOCKET_COMPRESSION=$mode"
        measure deflate "$mode" "$round" "${options[@]}" --warm-messages 5 --messages 50
        stop_server
    done
}

# Measures ten minutes in ten windows; the first and the last should be alike.
measure_sessions() {
    start_gateway "$server_core" 1
    taskset --cpu-list "$load_core" $tools/load --port "$port" --pid "$server" --connections 10000 --rate 1 --text "$ping" \
        --warm 10 --seconds 60 --windows 10 | sed 's/^/sessions\tparley\t1\t/' >>"$results" || fail 'the sessions failed'
    stop_server
}

prepare
build_peers
readonly results=$PWD/$here/.build/results
: >"$results"

# Other load on the machine affects processor time only through caches and clock frequency, but it invalidates messages per second.
read -r busy _ </proc/loadavg
awk -v busy="$busy" 'BEGIN { exit !(busy > 0.5) }' && printf 'this machine is busy with other programs (load %s): expect a large spread\n' "$busy" >&2

for ((round = 1; round <= rounds; round++)); do
    for line in "${lines[@]}"; do
        printf 'round %s of %s: %s\n' "$round" "$rounds" "$line" >&2
        case $line in
        loops) measure_loops "$round" && continue ;;
        deflate) measure_deflate "$round" && continue ;;
        sessions) { ((round > 1)) || measure_sessions; } && continue ;;
        esac
        options_for "$line"
        start_gateway "$server_core" 1
        measure "$line" parley "$round" "${options[@]}"
        stop_server
        if [[ $line == chunks ]]; then
            start_peer "$server_core" floor
            measure "$line" floor "$round" --welcome 0 "${options[@]}"
        else
            start_peer "$server_core" beast
            measure "$line" beast "$round" "${options[@]}"
        fi
        stop_server
    done
done

missed=0
python3 $here/table.py "$results" "$(stat -c %s $tools/long.json)" || missed=1
if [[ " ${lines[*]} " == *' chunks '* ]]; then
    printf '\nAES-128-GCM alone, 16 KB at a time: '
    taskset --cpu-list "$server_core" openssl speed -elapsed -seconds 1 -bytes 16384 -evp aes-128-gcm -decrypt -mr 2>/dev/null |
        awk -F: '/^\+F/ { printf "%.1f µs per chunk\n", 16384 / $NF * 1e6 }'
fi
exit "$missed"
