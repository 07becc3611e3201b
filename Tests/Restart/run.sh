#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Restarts a socket-activated gateway with 1,000 clients over TLS: no connection may be refused, no acknowledged text lost, and the reconnects
# must be spread. About one minute. Arguments are passed to restart.py: --clients 1000 --drain 30s
# PARLEY_EXECUTABLE is the path of an existing build.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Restart/restart.py "$@"
