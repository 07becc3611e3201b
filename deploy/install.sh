# shellcheck shell=bash
# Shared by the scripts that install what others need, on Debian 12. Sourced.

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

can_make_environments() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# make_environment FOLDER IMPORTS REQUIREMENT… — a Python environment with packages of PyPI that can be imported.
make_environment() {
    local folder=$1 imports=$2 python=python3
    shift 2
    # The stamp names what is in the environment; the interpreter may have gone since.
    if [[ "$(cat "$folder/requirements" 2>/dev/null || true)" == "$*" ]] && "$folder/bin/python" -c "import $imports" 2>/dev/null; then return; fi
    printf 'setup: installing %s from PyPI into %s\n' "$*" "$folder" >&2
    # A Python found first in the path may come without the module that the Debian one has.
    can_make_environments "$python" || python=/usr/bin/python3
    quietly "$python" -m venv --clear "$folder" || fail 'no Python environment could be made'
    quietly "$folder/bin/python" -m pip install --disable-pip-version-check --no-input "$@" || fail "could not install: $*"
    printf '%s\n' "$*" >"$folder/requirements"
}
