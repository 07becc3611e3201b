#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of three gateways that share one Redis. The first argument is the test, the others are passed to it:
#   soak --faults 200 --seed 1      no acknowledged message is lost, doubled or reordered, whatever fails; about ten minutes
#   soak --sentinel --acknowledge replicas --faults 100
#   soak --without-fence            must fail: the scripts in Redis don't check the owner
#   race --rounds 1000              two clients present one token to two nodes at the same instant
#   resume --lease 1s               latency of a resume on another node
#   rolling --clients 1000          a rolling restart
#   faults                          log lines, readiness and answers while Redis fails
#   mutations                       the checks of the soak find changes in correct transcripts
# PARLEY_EXECUTABLE is the path of an existing build.
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/../with-release.sh" "Cluster/$1.py" "${@:2}"
