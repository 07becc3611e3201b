#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks that no acknowledged message is lost when connections are reset and the gateway is killed. Arguments are passed to soak.py:
#   --kills 200 --clients 50 --seed 1          50 clients, 200 kills, the SQLite store; about five minutes
#   --store memory --minutes 10 --clients 500  no kills; memory and file descriptors must not grow
# PARLEY_EXECUTABLE is the path of an existing build.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Soak/soak.py "$@"
