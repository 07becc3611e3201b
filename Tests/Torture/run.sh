#!/usr/bin/env bash
# Tortures a release build on loopback. Arguments go to torture.py: --minutes 60 --clients 500 --seed 1
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh test
ulimit -n "$(ulimit -Hn)"
if [[ -z "${PARLEY_EXECUTABLE:-}" ]]; then
    swift build -c release --product parley --static-swift-stdlib >/dev/null
    PARLEY_EXECUTABLE=.build/release/parley
fi
exec .build/venv/bin/python Tests/Torture/torture.py --executable "$PARLEY_EXECUTABLE" "$@"
