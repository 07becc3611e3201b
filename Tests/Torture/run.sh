#!/usr/bin/env bash
# Tortures a release build on loopback. Arguments go to torture.py: --minutes 60 --clients 500 --seed 1
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Torture/torture.py "$@"
