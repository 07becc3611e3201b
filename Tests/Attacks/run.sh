#!/usr/bin/env bash
# Attacks a release build on loopback while an innocent client talks to it, and prints what that costs the client and the gateway.
# usage: Tests/Attacks/run.sh [--only NAME …] [--seconds N] [--suspend SECONDS] [--seed N] [--list]
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Attacks/attacks.py "$@"
