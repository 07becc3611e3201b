#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Counts the allocations per message of a release build after warm-up, and attributes them to the gateway, NIO, OpenSSL and others.
# usage: Tests/Benchmarks/allocations.sh [--binary PATH] [--messages N] [--stacks N] [ping|text|long|audio …]
# The exit status is 1 when the gateway's own exceed their thresholds in thresholds.tsv; those of NIO and OpenSSL are only printed. --stacks prints the N call sites that allocate most.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. Tests/Benchmarks/common.sh

messages=1000
stacks=0
lines=()
while (($#)); do
    case $1 in
    --binary) binary=$2 && shift ;;
    --messages) messages=$2 && shift ;;
    --stacks) stacks=$2 && shift ;;
    ping | text | long | audio) lines+=("$1") ;;
    *) sed -n '3,5s/^# //p' "$0" && exit 2 ;;
    esac
    shift
done
((${#lines[@]})) || lines=(ping text audio)

prepare
build_counter
readonly counts=$PWD/$here/.build/counts connections=20

# The warm-up exceeds the size of a session's history and tables, so that these are full and evict while allocations are counted.
options_for() {
    case $1 in
    ping) options=(--text '{"type":"ping","id":"########"}') ;;
    text) options=(--file $tools/text.json --replies 2) ;;
    long) options=(--file $tools/long.json --replies 2) ;;
    audio)
        options=(--binary --file $tools/audio.pcm --replies 0 --rate 500
            --hello '{"type":"audio","id":"a","format":{"codec":"pcm16","rate":16000,"channels":1}}')
        ;;
    esac
}

missed=0
for line in "${lines[@]}"; do
    rm -f "$counts"
    options_for "$line"
    start_gateway 0 1 "LD_PRELOAD=$PWD/$tools/counter.so" "ALLOCATION_COUNTS=$counts"
    $tools/load --port "$port" --connections "$connections" --counts "$counts" --warm-messages 1200 --messages "$messages" "${options[@]}" \
        >$here/.build/allocations.json || fail "load generator failed for $line: $(cat $here/.build/allocations.json)"
    python3 $here/Allocations/report.py "$counts" "$server" $((connections * messages)) \
        --name "$line" --limit "$(threshold "allocations-$line")" --stacks "$stacks" || missed=1
    stop_server
done
exit "$missed"
