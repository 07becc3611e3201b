#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests the Python client: its state machine, the client on asyncio, and a short run of faults.py. Arguments are passed to faults.py:
#   --faults 500 --seed 1   the long run; about a quarter of an hour
#   --mutate dedupe         must fail: the client delivers repeated messages
# PARLEY_EXECUTABLE is the path of an existing build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh test
for test in Tests/SDK/python/test_*.py; do .build/venv/bin/python "$test"; done
exec Tests/with-release.sh SDK/faults.py "$@"
