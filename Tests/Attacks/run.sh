#!/usr/bin/env bash
# Attacks a release build on loopback while an innocent client talks to it, and prints what that costs the client and the gateway.
# usage: Tests/Attacks/run.sh [--only NAME …] [--seconds N] [--suspend SECONDS] [--seed N] [--list]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh test
ulimit -n "$(ulimit -Hn)"
if [[ -z "${PARLEY_EXECUTABLE:-}" ]]; then
    swift build -c release --product parley --static-swift-stdlib >/dev/null
    PARLEY_EXECUTABLE=.build/release/parley
fi
exec .build/venv/bin/python Tests/Attacks/attacks.py --executable "$PARLEY_EXECUTABLE" "$@"
