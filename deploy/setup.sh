#!/usr/bin/env bash
# Installs what building Parley needs on Debian 12 besides Swift; with the word "test" what its tests need as well, with "bench" what
# its benchmarks do, with "leaks" what the leak check does.
# Says nothing, and asks the network for nothing, when all of it is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly purpose="${1:-build}"
. deploy/install.sh

command -v swift >/dev/null || fail 'Swift 6.2 or later is needed: https://www.swift.org/install/linux/'
command -v apt-get >/dev/null || fail 'this script knows Debian only; install OpenSSL 3, zlib and SQLite 3 with their headers, a C and C++ toolchain, pkg-config and git by hand'

missing=()
# Headers of the libraries that are linked. The headers and start files of C, and libc.a for the static launcher, are in libc6-dev.
for package in libssl-dev zlib1g-dev libsqlite3-dev libc6-dev; do
    is_installed "$package" || missing+=("$package")
done
# The C++ library that Swift's runtime links with, of any version.
compgen -G '/usr/lib/gcc/*/*/libstdc++.so' >/dev/null || missing+=(libstdc++-12-dev)
command -v pkg-config >/dev/null || missing+=(pkg-config)
# Swift's linker on Debian, and what the package manager fetches the libraries with.
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
