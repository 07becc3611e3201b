#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs rounds of faulty upstreams against a release build. Arguments go to rounds.py: --rounds 1000 --kinds process --minutes 0
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Upstreams/rounds.py "$@"
