#!/usr/bin/env bash
# Proves that nothing acknowledged is lost: clients talk while their connections are cut and the gateway is killed. Arguments go to soak.py:
#   --kills 200 --clients 50 --seed 1          fifty clients, two hundred kills, on the embedded store; some five minutes
#   --store memory --minutes 10 --clients 500  no kills: memory and file descriptors have to stay where they are
# PARLEY_EXECUTABLE names a gateway that is built already.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Soak/soak.py "$@"
