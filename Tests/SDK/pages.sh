#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the examples of the pages for client developers, in Chromium, Python, Swift and C++, and compares their tables with the clients.
# usage: Tests/SDK/pages.sh [CLASS[.TEST] …]    for example Tables, or ESP32.test_unit
#        Tests/SDK/pages.sh update-hash         writes the hash of the browser client into FirstClient.md
# PARLEY_EXECUTABLE is the path of an existing build; without it, a release is built. No other gateway may use ports 8443 and 9464.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh test
if [[ -z "${PARLEY_EXECUTABLE:-}" ]]; then
    deploy/build.sh >/dev/null
    export PARLEY_EXECUTABLE="$PWD/.build/release/parley"
fi
exec .build/venv/bin/python Tests/SDK/pages.py "$@"
