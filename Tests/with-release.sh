#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the long-running Python tests require, and runs one of them against a release build. The run.sh scripts of their directories
# call this script.
# usage: Tests/with-release.sh PROGRAM [ARGUMENT …]. With PARLEY_EXECUTABLE, the path of an existing build, nothing is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
deploy/setup.sh test
ulimit -n "$(ulimit -Hn)"
if [[ -z "${PARLEY_EXECUTABLE:-}" ]]; then
    deploy/build.sh >/dev/null
    PARLEY_EXECUTABLE=.build/release/parley
fi
exec .build/venv/bin/python "Tests/$1" --executable "$PARLEY_EXECUTABLE" "${@:2}"
