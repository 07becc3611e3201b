#!/usr/bin/env bash
# Installs what the examples need on Debian 12: espeak-ng, and a Python environment with a recogniser and a library
# for WebSockets.
# Says nothing, and asks the network for nothing, when all of it is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly venv=.build/examples-venv
# The recogniser's wheel carries its acoustic model, language model and dictionary (American English).
readonly -a requirements=('pocketsphinx>=5.0.4,<6' 'websockets>=13,<18')

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Runs a command whose output matters only when it fails.
quietly() {
    local log
    log="$(mktemp)"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

install_packages() {
    local -a install=(apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300)
    local -a update=(apt-get update -o DPkg::Lock::Timeout=300)
    local -a as_root=(env DEBIAN_FRONTEND=noninteractive)
    command -v apt-get >/dev/null || fail "this script knows Debian only; install by hand: $*"
    if [[ "$(id -u)" != 0 ]]; then
        command -v sudo >/dev/null || fail "as root, run: apt-get install $*"
        # -E would carry the caller's variables into root's hands; apt needs only this one.
        as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
    fi
    printf 'setup: installing %s\n' "$*" >&2
    # The lists of a fresh machine are empty or old; only then are they fetched.
    quietly "${as_root[@]}" "${install[@]}" "$@" 2>/dev/null && return
    quietly "${as_root[@]}" "${update[@]}" || fail 'the package lists could not be fetched'
    quietly "${as_root[@]}" "${install[@]}" "$@" || fail "could not install: $*"
}

can_make_environments() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

missing=()
command -v espeak-ng >/dev/null || missing+=(espeak-ng)
can_make_environments python3 || can_make_environments /usr/bin/python3 || missing+=(python3 python3-venv)
if ((${#missing[@]})); then install_packages "${missing[@]}"; fi

# The stamp names what is in the environment; the interpreter may have gone since.
if [[ "$(cat "$venv/requirements" 2>/dev/null || true)" != "${requirements[*]}" ]] ||
    ! "$venv/bin/python" -c 'import pocketsphinx, websockets' 2>/dev/null; then
    printf 'setup: installing %s from PyPI into %s\n' "${requirements[*]}" "$venv" >&2
    python=python3
    # A Python found first in the path may come without the module that the Debian one has.
    can_make_environments "$python" || python=/usr/bin/python3
    quietly "$python" -m venv --clear "$venv" || fail 'no Python environment could be made'
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check --no-input "${requirements[@]}" ||
        fail "could not install: ${requirements[*]}"
    printf '%s\n' "${requirements[*]}" >"$venv/requirements"
fi
