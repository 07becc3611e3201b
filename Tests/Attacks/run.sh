#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attacks a release build on loopback, and prints the effects on a well-behaved client and on the gateway.
# usage: Tests/Attacks/run.sh [--only NAME …] [--seconds N] [--suspend SECONDS] [--seed N] [--list]
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Attacks/attacks.py "$@"
