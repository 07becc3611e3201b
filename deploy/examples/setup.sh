#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the examples need on Debian 12: espeak-ng, and a Python environment with pocketsphinx and websockets.
# Without output and network access if everything is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/install.sh

missing=()
command -v espeak-ng >/dev/null || missing+=(espeak-ng)
can_make_environments python3 || can_make_environments /usr/bin/python3 || missing+=(python3 python3-venv)
if ((${#missing[@]})); then install_packages "${missing[@]}"; fi

# The wheel of pocketsphinx includes an acoustic model, a language model and a dictionary (American English).
make_environment .build/examples-venv 'pocketsphinx, websockets' 'pocketsphinx>=5.0.4,<6' 'websockets>=13,<18'
