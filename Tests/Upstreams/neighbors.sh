#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the effect of faulty upstreams on other sessions, with a release build. Arguments go to neighbors.py: --kinds process --seconds 10
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Upstreams/neighbors.py "$@"
