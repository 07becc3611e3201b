#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks a tarball of deploy/package/package.sh as an operator uses it: unpacked in a Debian 12 that has only libssl3, zlib1g and libsqlite3-0
# besides Debian's minimum, without root's rights, the gateway starts, serves a client and a process upstream, and stops.
# usage: deploy/package/check.sh [TARBALL]     without TARBALL, the release build in .build/release is packed and checked
#
# The Debian is made by debootstrap, once, in .build/debian-root. That needs root and mount namespaces; without them the tarball is checked
# with the libraries of this machine, and the script says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
    printf 'package: %s\n' "$*" >&2
    if [[ -s "${work:-}/gateway.log" ]]; then tail -n 20 "$work/gateway.log" >&2; fi
    exit 1
}

work="$(mktemp -d)"
chmod 755 "$work"
gateway=
clean_up() {
    if [[ -n "$gateway" ]]; then kill -KILL -- "-$gateway" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap clean_up EXIT

tarball="${1:-}"
if [[ -z "$tarball" ]]; then
    tarball="$(deploy/package/package.sh)"
    before="$(sha256sum <"$tarball")"
    deploy/package/package.sh >/dev/null
    [[ "$(sha256sum <"$tarball")" == "$before" ]] || fail 'two tarballs of one build differ'
fi
tar --extract --gzip --file "$tarball" --directory "$work"

# The package for npm has each file that it names, and can be imported by its name.
install -d "$work/npm/node_modules/parley-client"
tar --extract --gzip --file "$(compgen -G '.build/parley-client-*.tgz' | tail -n 1)" --strip-components 1 --directory "$work/npm/node_modules/parley-client"
for file in $(sed -nE 's/^    "([^"]*\.(js|ts|md))",?$/\1/p' Sources/ParleyJS/package.json) LICENSE package.json; do
    [[ -s "$work/npm/node_modules/parley-client/$file" ]] || fail "the package for npm has no $file"
done
if command -v node >/dev/null; then
    (cd "$work/npm" && node --input-type=module --eval 'import { CODES } from "parley-client"; process.exit(CODES[4503] ? 0 : 1)') ||
        fail "the package for npm can't be imported"
fi
rm -r "$work/npm"
package="$(compgen -G "$work/parley-*")"

# The libraries that the executables load, and the directories in which they look for them.
libraries="$(readelf --dynamic --wide "$package/bin/parley" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')"
for library in $libraries; do
    case "$library" in
    libssl.so.3 | libcrypto.so.3 | libz.so.1 | libsqlite3.so.0) ;;
    # libc6, libgcc-s1 and libstdc++6, which every Debian has, since apt needs them.
    libc.so.6 | libm.so.6 | ld-linux*.so.* | libgcc_s.so.1 | libstdc++.so.6) ;;
    *) fail "parley needs $library" ;;
    esac
done
search="$(readelf --dynamic --wide "$package/bin/parley" | sed -nE 's/.*\((RPATH|RUNPATH)\).*\[(.*)\]/\2/p')"
# shellcheck disable=SC2016
[[ -z "$search" || "$search" == '$ORIGIN' ]] || fail "parley looks for libraries in $search"
if readelf --dynamic --wide "$package/bin/parley-launch" | grep --quiet '(NEEDED)'; then fail 'parley-launch isn'"'"'t linked statically'; fi
for executable in parley parley-launch; do
    if readelf --sections --wide "$package/bin/$executable" | grep --quiet ' \.symtab '; then fail "$executable isn't stripped"; fi
done

# Links of the pages lead to files of the tarball. Those in code blocks aren't links.
for page in "$package"/share/doc/parley/*.md; do
    targets="$(awk '/^```/ { code = !code; next } !code' "$page" | sed -E 's/\]\(([^)#]*)[^)]*\)/\n](\1)\n/g' | sed -nE 's/^\]\((.*)\)$/\1/p' | sort -u)"
    while read -r target; do
        if [[ -n "$target" && "$target" != https:* && ! -e "${page%/*}/$target" ]]; then fail "${page##*/} refers to $target"; fi
    done <<<"$targets"
done

# A configuration with a process upstream, which parley-launch starts. It answers each request in two lines.
mkdir "$work/run" "$work/run/config"
cat >"$work/run/config/gateway.yaml" <<'CONFIGURATION'
upstreams:
  program:
    kind: process
    command: [/bin/sh, /run/parley/program.sh]
routes:
  talk:
    upstreams: [program]
CONFIGURATION
cat >"$work/run/program.sh" <<'PROGRAM'
while read -r line; do
    request="$(printf '%s' "$line" | sed -E 's/.*"request":([0-9]+).*/\1/')"
    printf '{"request":%s,"type":"text","text":"hello from Debian","final":true,"done":true}\n' "$request"
done
PROGRAM

make_root() {
    local root=$1
    if [[ -e "$root.complete" ]]; then return; fi
    printf 'package: making a Debian 12 in %s\n' "$root" >&2
    rm -rf "$root"
    debootstrap --variant=minbase --include=libssl3,zlib1g,libsqlite3-0 bookworm "$root" >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        fail 'debootstrap failed'
    }
    rm -rf "$root/var/cache/apt/archives"
    : >"$root.complete"
}

# inside COMMAND …: runs a command beside the package, as nobody, with /run/parley as the working directory.
if [[ "$(id -u)" == 0 ]] && unshare --mount --pid --fork true 2>/dev/null && command -v debootstrap >/dev/null; then
    root="$PWD/.build/debian-root"
    make_root "$root"
    chown -R 65534:65534 "$work/run"
    directory=/run/parley parley=/opt/parley/bin/parley
    # The mounts exist only for the command, and the file system of the Debian is read-only for it.
    # shellcheck disable=SC2016
    inside() {
        unshare --mount --pid --fork --kill-child bash -c '
            root=$1 package=$2 run=$3
            shift 3
            mount --bind "$root" "$root"
            mkdir -p "$root/opt/parley" "$root/run/parley"
            mount --bind "$package" "$root/opt/parley"
            mount --bind "$run" "$root/run/parley"
            mount -t proc proc "$root/proc"
            mount -o remount,bind,ro "$root"
            exec chroot --userspec=65534:65534 "$root" /usr/bin/env -i -C /run/parley PATH=/usr/bin:/bin "$@"
        ' bash "$root" "$package" "$work/run" "$@"
    }
else
    printf 'package: no root or mount namespaces: the tarball is checked with the libraries of this machine\n' >&2
    directory="$work/run" parley="$package/bin/parley"
    sed -i "s#/run/parley#$work/run#" "$work/run/config/gateway.yaml"
    inside() { env -i -C "$work/run" PATH=/usr/bin:/bin "$@"; }
fi

version="$(inside "$parley" --version)"
[[ "$version" =~ ^parley\ [0-9.]+\ \([0-9a-z-]+\)$ ]] || fail "unexpected version: $version"
inside "$parley" config check >/dev/null || fail 'the configuration is rejected'
inside "$parley" config check --config "${parley%/bin/parley}/etc" >/dev/null || fail 'the shipped configuration is rejected'

# A process group of its own, so that the gateway ends with this script.
set -m
inside "$parley" serve --listen.address 127.0.0.1:0 --operations.address 127.0.0.1:0 --logging.format json >"$work/gateway.log" 2>&1 </dev/null &
gateway=$!
set +m
port_of() { sed -nE "s/.*$1.*127\.0\.0\.1:([0-9]+).*/\1/p" "$work/gateway.log" | head -n 1; }
for _ in {1..100}; do
    port="$(port_of '"msg":"listening"')"
    operations="$(port_of 'parley\.operations.*listening on')"
    if [[ -n "$port" && -n "$operations" ]]; then break; fi
    kill -0 "$gateway" 2>/dev/null || fail 'the gateway exited'
    sleep 0.1
done
[[ -n "$port" && -n "$operations" ]] || fail 'the gateway did not start within 10 s'
curl --silent --fail "http://127.0.0.1:$operations/readyz" >/dev/null || fail 'the gateway is not ready'
# debootstrap makes no /etc/hosts, so the address is used instead of localhost.
answer="$(inside "$parley" talk "wss://127.0.0.1:$port/v1/ws" --quiet --ca "$directory/var/development-cert.pem" --text hello)"
[[ "$answer" == 'hello from Debian' ]] || fail "unexpected response: $answer"
pkill -TERM --pgroup "$gateway" --exact parley
wait "$gateway" || fail "the gateway exited with $?"
gateway=
printf 'package: %s, %s, %s: parley %s, parley-launch %s bytes\n' "${tarball##*/}" "$(stat --format='%s bytes' "$tarball")" "$version" \
    "$(stat --format=%s "$package/bin/parley")" "$(stat --format=%s "$package/bin/parley-launch")" >&2
