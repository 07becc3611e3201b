#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the torture test against a release build on loopback. Arguments are passed to torture.py: --minutes 60 --clients 500 --seed 1
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Torture/torture.py "$@"
