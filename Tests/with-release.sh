#!/usr/bin/env bash
# Sets up what the long tests in Python need, and runs one of them against a release build. The run.sh of their folders call it.
# usage: Tests/with-release.sh PROGRAM [ARGUMENT …]. PARLEY_EXECUTABLE names a gateway that is built already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
deploy/setup.sh test
ulimit -n "$(ulimit -Hn)"
if [[ -z "${PARLEY_EXECUTABLE:-}" ]]; then
    deploy/build.sh >/dev/null
    PARLEY_EXECUTABLE=.build/release/parley
fi
exec .build/venv/bin/python "Tests/$1" --executable "$PARLEY_EXECUTABLE" "${@:2}"
