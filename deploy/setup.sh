#!/usr/bin/env bash
# Installs what building Parley needs on Debian 12 besides Swift; with the word "test" what its tests need as well, with "bench" what
# its benchmarks do, with "leaks" what the leak check does.
# Says nothing, and asks the network for nothing, when all of it is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly purpose="${1:-build}"
. deploy/install.sh

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
    can_make_environments python3 || can_make_environments /usr/bin/python3 || missing+=(python3 python3-venv)
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

# A client that wasn't written here.
make_environment .build/venv websockets 'websockets>=13,<18'
