#!/usr/bin/env bash
# Installs what building Parley needs on Debian 12 besides Swift; with the word "test" what its tests need as well, with "bench" what
# its benchmarks do, with "leaks" what the leak check does.
# Says nothing, and asks the network for nothing, when all of it is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly purpose="${1:-build}"
readonly venv=.build/venv
readonly client='websockets>=13,<18'

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

is_installed() {
    [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null || true)" == installed ]]
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

command -v swift >/dev/null || fail 'Swift 6.2 or later is needed: https://www.swift.org/install/linux/'
command -v apt-get >/dev/null || fail 'this script knows Debian only; install OpenSSL 3, zlib and pkg-config with their headers by hand'

missing=()
for package in libssl-dev zlib1g-dev; do
    is_installed "$package" || missing+=("$package")
done
command -v pkg-config >/dev/null || missing+=(pkg-config)

if [[ "$purpose" == test ]]; then
    for tool in openssl curl espeak-ng chromium; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
fi
if [[ "$purpose" == bench ]]; then
    for package in g++ libboost-dev libboost-system-dev libsimdjson-dev; do
        is_installed "$package" || missing+=("$package")
    done
    for tool in openssl python3; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    # What the gateway is measured beside as a proxy.
    [[ -x /usr/sbin/nginx ]] || missing+=(nginx-light)
fi
if [[ "$purpose" == leaks ]]; then
    command -v valgrind >/dev/null || missing+=(valgrind)
fi
if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
[[ "$purpose" == test ]] || exit 0
# The voice assistant of the examples is one of the tests.
deploy/examples/setup.sh

# A client that wasn't written here. The stamp names what is in the environment; the interpreter may have gone since.
if [[ "$(cat "$venv/requirement" 2>/dev/null || true)" != "$client" ]] || ! "$venv/bin/python" -c 'import websockets' 2>/dev/null; then
    printf 'setup: installing %s from PyPI into %s\n' "$client" "$venv" >&2
    python=python3
    # A Python found first in the path may come without the module that the Debian one has.
    "$python" -c 'import ensurepip, venv' 2>/dev/null || python=/usr/bin/python3
    quietly "$python" -m venv --clear "$venv" || fail 'no Python environment could be made'
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check --no-input "$client" || fail "could not install: $client"
    printf '%s\n' "$client" >"$venv/requirement"
fi
