#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the example of the client library, which must be built, with a gateway of the debug build.
# usage: Tests/ParleyClientExample/run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly example="$PWD/.build/nested-ParleyClientExample/debug/example"
parley="$(swift build --show-bin-path)/parley"
directory="$(mktemp -d)"
cd "$directory"
# deploy/test.sh exports the variable, and the gateway rejects unknown ones.
env -u PARLEY_TEST_PYTHON "$parley" serve --listen.address=127.0.0.1:0 --operations.address=127.0.0.1:0 --logging.format=json >gateway.log 2>&1 &
gateway=$!
trap 'kill "$gateway" 2>/dev/null; wait "$gateway" 2>/dev/null; rm -r "$directory"' EXIT

port=
for _ in {1..100}; do
    port="$(sed -n '/"parley.listener"/s/.*"address":"127.0.0.1:\([0-9]*\)".*/\1/p' gateway.log | head -n 1)"
    [[ -z "$port" ]] || break
    sleep 0.1
done
[[ -n "$port" ]] || { echo 'the gateway did not start' >&2; cat gateway.log >&2; exit 1; }

output="$("$example" "wss://localhost:$port" var/development-cert.pem)"
if [[ "$output" != 'Hello from Swift' ]]; then
    echo "unexpected output: $output" >&2
    exit 1
fi
