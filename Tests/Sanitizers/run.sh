#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the test suite under the thread and address sanitizers, and the executable under valgrind. Each has its own build in .build.
#
#   Tests/Sanitizers/run.sh [thread] [address] [leaks]      runs all three by default
#
# thread and address fail at the sanitizer's first report, in the tests or in a gateway that they start. leaks starts the gateway, opens and
# closes 1,000 connections, stops the gateway, and fails when memory allocated by its code has leaked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
    printf 'sanitizers: %s\n' "$*" >&2
    exit 1
}

run_suite() {
    local kind=$1
    shift
    printf '== %s\n' "$kind"
    swift build --build-tests --scratch-path ".build/$kind" --sanitize="$kind" >/dev/null
    PARLEY_TEST_PYTHON="$PWD/.build/venv/bin/python" env "$@" \
        swift test --skip-build --disable-xctest --scratch-path ".build/$kind" --sanitize="$kind" </dev/null
}

check_leaks() {
    printf '== leaks\n'
    deploy/setup.sh leaks
    deploy/build.sh >/dev/null
    local directory
    directory=$(mktemp -d)
    # valgrind 3.19 can't parse Swift's debug information; function names suffice.
    objcopy --strip-debug .build/release/parley "$directory/parley"
    (cd "$directory" && exec valgrind --leak-check=full --show-leak-kinds=definite --num-callers=30 --log-file="$directory/valgrind.log" \
        ./parley serve --listen.address 127.0.0.1:0 --operations.address 127.0.0.1:0 --logging.format json \
        --connections.per_address 0 --connections.handshakes_per_second 0 >"$directory/gateway.log" 2>&1) &
    local gateway=$!
    .build/venv/bin/python Tests/Sanitizers/connections.py "$directory/gateway.log" 1000 || fail 'the connections failed'
    kill -TERM "$gateway"
    wait "$gateway" || true
    if grep --after-context=30 'definitely lost in' "$directory/valgrind.log" | grep --quiet 'Gateway\|parley'; then
        cat "$directory/valgrind.log" >&2
        fail 'the gateway leaks memory'
    fi
    tail -n 12 "$directory/valgrind.log"
    rm -rf "$directory"
}

(($#)) || set -- thread address leaks
deploy/setup.sh test
for kind in "$@"; do
    case $kind in
    # Stops at the first report. Threads that run until the process exits, such as the log's, are not leaks.
    thread) run_suite thread TSAN_OPTIONS="halt_on_error=1:report_thread_leaks=0:suppressions=$PWD/Tests/Sanitizers/thread.txt" ;;
    # OpenSSL and Swift allocate tables once and never free them; valgrind checks for leaks instead.
    address) run_suite address ASAN_OPTIONS=detect_leaks=0 ;;
    leaks) check_leaks ;;
    *) sed -n '5,6s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
done
