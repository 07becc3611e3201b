#!/usr/bin/env bash
# The whole suite under the sanitizers, and the executable under valgrind. Each in a build of its own below .build.
#
#   Tests/Sanitizers/run.sh [thread] [address] [leaks]      all three when none is named
#
# thread and address fail at the first report of the sanitizer, in the tests or in a gateway that they start. leaks starts the gateway, lets
# 1,000 connections come and go, ends it, and fails when memory is lost that our code had asked for.
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
    local folder
    folder=$(mktemp -d)
    # valgrind 3.19 can't read Swift's debug information; the names of functions are all that is looked at.
    objcopy --strip-debug .build/release/parley "$folder/parley"
    (cd "$folder" && exec valgrind --leak-check=full --show-leak-kinds=definite --num-callers=30 --log-file="$folder/valgrind.log" \
        ./parley serve --listen.address 127.0.0.1:0 --operations.address 127.0.0.1:0 --logging.format json \
        --connections.per_address 0 --connections.handshakes_per_second 0 >"$folder/gateway.log" 2>&1) &
    local gateway=$!
    .build/venv/bin/python Tests/Sanitizers/connections.py "$folder/gateway.log" 1000 || fail 'the connections went wrong'
    kill -TERM "$gateway"
    wait "$gateway" || true
    if grep --after-context=30 'definitely lost in' "$folder/valgrind.log" | grep --quiet 'Gateway\|parley'; then
        cat "$folder/valgrind.log" >&2
        fail 'memory of ours is lost'
    fi
    tail -n 12 "$folder/valgrind.log"
    rm -rf "$folder"
}

(($#)) || set -- thread address leaks
deploy/setup.sh test
for kind in "$@"; do
    case $kind in
    # The first report is enough. Threads that end with the process, such as the log's, are no leaks.
    thread) run_suite thread TSAN_OPTIONS="halt_on_error=1:report_thread_leaks=0:suppressions=$PWD/Tests/Sanitizers/thread.txt" ;;
    # OpenSSL's and Swift's one-time tables live as long as the process: what leaks is valgrind's matter, below.
    address) run_suite address ASAN_OPTIONS=detect_leaks=0 ;;
    leaks) check_leaks ;;
    *) sed -n '4,5s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
done
