#!/usr/bin/env bash
# Installs what the examples need on Debian 12: espeak-ng, and a Python environment with a recogniser and a library
# for WebSockets.
# Says nothing, and asks the network for nothing, when all of it is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/install.sh

missing=()
command -v espeak-ng >/dev/null || missing+=(espeak-ng)
can_make_environments python3 || can_make_environments /usr/bin/python3 || missing+=(python3 python3-venv)
if ((${#missing[@]})); then install_packages "${missing[@]}"; fi

# The recogniser's wheel carries its acoustic model, language model and dictionary (American English).
make_environment .build/examples-venv 'pocketsphinx, websockets' 'pocketsphinx>=5.0.4,<6' 'websockets>=13,<18'
