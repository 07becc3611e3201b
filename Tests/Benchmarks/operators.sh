#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the operations listener of a gateway with 10,000 sessions on one event loop: the response times of its lists and of /metrics, and
# the delay that they and a message to all sessions cause for a client that sends 200 pings per second. The gateway runs on one core, the
# clients on another.
# usage: Tests/Benchmarks/operators.sh [--sessions N] [--requests N] [--binary PATH]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. Tests/Benchmarks/common.sh

sessions=10000
requests=200
while (($#)); do
    case $1 in
    --sessions) sessions=$2 && shift ;;
    --requests) requests=$2 && shift ;;
    --binary) binary=$2 && shift ;;
    *) sed -n '3,6s/^# //p' "$0" && exit 2 ;;
    esac
    shift
done

prepare
start_gateway 0 1
taskset --cpu-list 1 $tools/load --port $port --pid "$server" --connections "$sessions" --idle --warm 0 --seconds 600 >/dev/null 2>&1 &
servers+=($!)
taskset --cpu-list 1 python3 $here/operators.py --port "$port" --operations "$((port + 1))" --sessions "$sessions" --requests "$requests" \
    --load "$tools/load" --pid "$server" --longest "$(threshold operators)" --stall "$(threshold operators-stall)"
