# SPDX-License-Identifier: Apache-2.0

# shellcheck shell=bash
# Functions that install packages on Debian 12, to be sourced by the set-up scripts.

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

is_installed() {
    [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null || true)" == installed ]]
}

# Runs a command and prints its output only if it fails.
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
    command -v apt-get >/dev/null || fail "only Debian is supported; install these packages yourself: $*"
    if [[ "$(id -u)" != 0 ]]; then
        command -v sudo >/dev/null || fail "sudo not found; run as root: apt-get install $*"
        # "sudo -E" would pass all of the caller's variables to root; apt needs only this one.
        as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
    fi
    printf 'setup: installing %s\n' "$*" >&2
    # The package lists are fetched only if the first attempt fails, as on a fresh machine, where they are empty or outdated.
    quietly "${as_root[@]}" "${install[@]}" "$@" 2>/dev/null && return
    quietly "${as_root[@]}" "${update[@]}" || fail 'could not fetch the package lists; check the network and /etc/apt/sources.list'
    quietly "${as_root[@]}" "${install[@]}" "$@" || fail "could not install: $*"
}

# unpack_package DIRECTORY PACKAGE PROGRAM…: unpacks a package of Debian into a directory without installing it, so that no service of the
# package starts. Returns early if every PROGRAM (a path below the directory) runs with --version.
unpack_package() {
    local directory=$1 package=$2 program staging complete=true
    local -a as_root=()
    shift 2
    for program in "$@"; do "$directory/$program" --version >/dev/null 2>&1 || complete=false; done
    [[ "$complete" == false ]] || return 0
    command -v apt-get >/dev/null || fail "only Debian is supported; unpack the package $package into $directory yourself"
    [[ "$(id -u)" == 0 ]] || as_root=(sudo)
    printf 'setup: unpacking %s into %s\n' "$package" "$directory" >&2
    mkdir -p "$(dirname "$directory")"
    staging="$(mktemp -d "$directory.XXXXXX")"
    if ! (cd "$staging" && quietly apt-get download "$package" 2>/dev/null); then
        quietly "${as_root[@]}" apt-get update -o DPkg::Lock::Timeout=300 || fail 'could not fetch the package lists; check the network'
        (cd "$staging" && quietly apt-get download "$package") || fail "could not download: $package"
    fi
    quietly dpkg-deb --extract "$staging"/*.deb "$staging" || fail "could not unpack: $package"
    rm -f "$staging"/*.deb
    chmod 755 "$staging"
    rm -rf "$directory"
    mv "$staging" "$directory"
    for program in "$@"; do "$directory/$program" --version >/dev/null 2>&1 || fail "$directory/$program doesn't run"; done
}

can_make_environments() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# make_environment DIRECTORY IMPORTS REQUIREMENT…: creates a Python environment with packages from PyPI, and checks that IMPORTS can be imported.
make_environment() {
    local directory=$1 imports=$2 python=python3
    shift 2
    # The file lists what is installed; the interpreter may have been removed since, so the import is tried as well.
    if [[ "$(cat "$directory/requirements" 2>/dev/null || true)" == "$*" ]] && "$directory/bin/python" -c "import $imports" 2>/dev/null; then return; fi
    printf 'setup: installing %s from PyPI into %s\n' "$*" "$directory" >&2
    # The first Python in PATH may lack ensurepip or venv, which Debian's has.
    can_make_environments "$python" || python=/usr/bin/python3
    quietly "$python" -m venv --clear "$directory" || fail "could not create a Python environment in $directory"
    quietly "$directory/bin/python" -m pip install --disable-pip-version-check --no-input "$@" || fail "could not install: $*"
    printf '%s\n' "$*" >"$directory/requirements"
}
