#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compares the timeline of slow turns with the clocks of the upstreams and the client, with a release build. Arguments go to waterfall.py:
# --rounds 5 --tolerance 20
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" Upstreams/waterfall.py "$@"
