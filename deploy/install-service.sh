#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs Parley as a systemd service on Debian 12: user, directories, secrets, executables and units, and enables it. Can be repeated:
# configuration and secrets that exist stay, executables and units are replaced.
# usage: deploy/install-service.sh [--dry-run] [--process-upstreams]
#   --dry-run             only print what would be done
#   --process-upstreams   also install the drop-in for upstreams of kind "process"
# Variables:
#   DESTDIR            install below this directory and leave the machine unchanged: no user, no systemctl (for packages and tests)
#   PREFIX             where the executables go: $PREFIX/bin (default /usr/local)
#   PARLEY_EXECUTABLE  the executable; parley-launch is expected beside it (default bin/parley of a package, or .build/release/parley)
# Log rotation isn't needed: the service logs to the journal, which limits its size (journald.conf, SystemMaxUse).
set -euo pipefail
umask 022
source="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

fail() {
    printf 'install-service: %s\n' "$*" >&2
    exit 1
}

dry_run=false
process_upstreams=false
for argument in "$@"; do
    case "$argument" in
    --dry-run) dry_run=true ;;
    --process-upstreams) process_upstreams=true ;;
    *) fail "unknown argument $argument; usage: deploy/install-service.sh [--dry-run] [--process-upstreams]" ;;
    esac
done

readonly root="${DESTDIR:-}"
readonly prefix="${PREFIX:-/usr/local}"
readonly user=parley
readonly etc="$root/etc/parley"
readonly units="$root/etc/systemd/system"
# Without DESTDIR, files belong to root, and the TLS directory to the service's group.
if [[ -z "$root" && "$dry_run" == false && "$(id -u)" != 0 ]]; then fail 'run as root, or set DESTDIR'; fi

# Prints the first of the paths that exists.
first() {
    local path
    for path in "$@"; do
        if [[ -e "$path" ]]; then
            printf '%s\n' "$path"
            return
        fi
    done
    fail "not found: $*"
}

executable="${PARLEY_EXECUTABLE:-$(first "$source/bin/parley" "$source/../bin/parley" "$source/../.build/release/parley")}"
[[ -x "$executable" ]] || fail "$executable isn't executable"
launcher="$(dirname "$executable")/parley-launch"
[[ -x "$launcher" ]] || fail "$launcher not found; it belongs beside parley"
unit_source="$(first "$source/systemd" "$source/../systemd")"
config_source="$(first "$source/../config" "$source/../etc" "$source/etc")"

run() {
    if [[ "$dry_run" == true ]]; then
        printf 'would run: %s\n' "$*"
    else
        "$@"
    fi
}

# Installs a file, replacing an older one in one step, so that a running process keeps the one that it has open.
put() {
    local mode=$1 from=$2 to=$3
    run install -D --mode="$mode" "$from" "$to.new"
    run mv -f "$to.new" "$to"
}

# Creates a file with a random secret that only root can read, unless it exists.
secret() {
    local path=$1
    if [[ -e "$path" ]]; then return; fi
    if [[ "$dry_run" == true ]]; then
        printf 'would create a secret: %s\n' "$path"
        return
    fi
    (
        umask 077
        head --bytes=32 /dev/urandom | od --address-radix=n --format=x1 --output-duplicates | tr -d ' \n' >"$path.new"
        mv "$path.new" "$path"
    )
}

if [[ -z "$root" ]]; then
    getent group "$user" >/dev/null || run groupadd --system "$user"
    getent passwd "$user" >/dev/null ||
        run useradd --system --gid "$user" --home-dir /var/lib/parley --no-create-home --shell /usr/sbin/nologin "$user"
fi

put 755 "$executable" "$root$prefix/bin/parley"
put 755 "$launcher" "$root$prefix/bin/parley-launch"

run install -d --mode=755 "$etc"
for name in gateway.yaml production.yaml; do
    if [[ ! -e "$etc/$name" ]]; then run install -D --mode=644 "$config_source/$name" "$etc/$name"; fi
done
# The service gets copies of the credentials; it can read certificates and keys itself, so that a renewal needs no restart.
run install -d --mode=700 "$etc/credentials"
secret "$etc/credentials/operations-token"
secret "$etc/credentials/auth-secret"
run install -d --mode=750 "$etc/tls"
if [[ -z "$root" ]]; then run chgrp "$user" "$etc/tls"; fi

unit="$(mktemp)"
trap 'rm -f "$unit"' EXIT
sed "s|/usr/local/bin/|$prefix/bin/|" "$unit_source/parley.service" >"$unit"
put 644 "$unit" "$units/parley.service"
put 644 "$unit_source/parley.socket" "$units/parley.socket"
if [[ "$process_upstreams" == true ]]; then
    put 644 "$unit_source/process-upstreams.conf" "$units/parley.service.d/process-upstreams.conf"
fi

if [[ -z "$root" ]]; then
    run systemctl daemon-reload
    run systemctl enable --quiet parley.socket parley.service
fi

if [[ "$dry_run" == true ]]; then exit 0; fi
cat <<TEXT
Installed. Next:
  1. Put the certificate and its key into /etc/parley/tls (the key readable for the group $user: chgrp $user KEY; chmod 640 KEY).
  2. Set tls.certificates and the upstreams in /etc/parley/production.yaml, and the addresses in parley.socket
     (systemctl edit parley.socket) as well as listen.address and operations.address.
  3. Check: PARLEY_OPERATIONS_TOKEN_FILE=/etc/parley/credentials/operations-token \\
            PARLEY_AUTH_SECRET_FILE=/etc/parley/credentials/auth-secret \\
            $prefix/bin/parley config check --environment production --config /etc/parley
  4. Start: systemctl start parley.socket parley.service
The logs are in the journal (journalctl --unit parley), which rotates them.
TEXT
