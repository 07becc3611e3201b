#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the packages that Parley needs on Debian 12, besides Swift. Prints nothing and doesn't use the network if all are installed.
# usage: deploy/setup.sh [build|test|bench|leaks]
#   build   to build Parley (the default)
#   test    also to run its tests
#   bench   also to run its benchmarks
#   leaks   also to run its leak check
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly purpose="${1:-build}"
. deploy/install.sh

command -v swift >/dev/null || fail 'Swift not found; install Swift 6.2 or later: https://www.swift.org/install/linux/'
command -v apt-get >/dev/null || fail 'only Debian is supported; install OpenSSL 3, zlib and SQLite 3 with their headers, a C and C++ toolchain, pkg-config and git yourself'

missing=()
# Headers of the linked libraries. libc6-dev has the C headers and start files, and libc.a for the static launcher.
for package in libssl-dev zlib1g-dev libsqlite3-dev libc6-dev; do
    is_installed "$package" || missing+=("$package")
done
# The C++ library that Swift's runtime links; any version is sufficient.
compgen -G '/usr/lib/gcc/*/*/libstdc++.so' >/dev/null || missing+=(libstdc++-12-dev)
command -v pkg-config >/dev/null || missing+=(pkg-config)
# The linker that Swift uses on Debian, and git, with which the package manager fetches dependencies.
command -v ld.gold >/dev/null || missing+=(binutils)
command -v git >/dev/null || missing+=(git)
[[ -s /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)

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
    # The proxy that the gateway is compared with.
    [[ -x /usr/sbin/nginx ]] || missing+=(nginx-light)
fi
if [[ "$purpose" == leaks ]]; then
    command -v valgrind >/dev/null || missing+=(valgrind)
fi
if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
[[ "$purpose" == test ]] || exit 0
# The tests run the voice assistant of the examples.
deploy/examples/setup.sh

# An independent WebSocket client.
make_environment .build/venv websockets 'websockets>=13,<18'
