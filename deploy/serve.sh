#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs missing packages, builds a release and runs "parley serve" with the arguments of this script.
# Standard output has only the gateway's log lines.
# PARLEY_EXECUTABLE names an executable that is built already: it is run, and nothing is installed or built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

executable="${PARLEY_EXECUTABLE:-}"
# The gateway rejects variables with its prefix that it doesn't know.
unset PARLEY_EXECUTABLE

# Prints the last line of the build's log on standard error: in place on a terminal, otherwise every 15 s. It holds the number of finished steps.
show_progress() {
    local log=$1 every=15 start=$SECONDS format='%s\n' line
    if [[ -t 2 ]]; then every=1 format='\r\e[K%.79s'; fi
    # Without the redirection a pending sleep would keep this script's output open.
    while sleep "$every" >/dev/null 2>&1; do
        line="$(tail -n 1 "$log" 2>/dev/null || true)"
        # shellcheck disable=SC2059
        printf "$format" "serve: building for $((SECONDS - start)) s: ${line:0:100}" >&2
    done
}

build_release() {
    local log=.build/serve-build.log progress built=true
    mkdir -p .build
    printf 'serve: building (some minutes the first time)\n' >&2
    show_progress "$log" &
    progress=$!
    # shellcheck disable=SC2064
    trap "kill $progress 2>/dev/null || true" EXIT
    deploy/build.sh >"$log" 2>&1 </dev/null || built=false
    kill "$progress" 2>/dev/null || true
    wait "$progress" 2>/dev/null || true
    trap - EXIT
    if [[ -t 2 ]]; then printf '\r\e[K' >&2; fi
    if [[ "$built" != true ]]; then
        grep -E 'error:' "$log" >&2 || tail -n 40 "$log" >&2
        exit 1
    fi
}

if [[ -z "$executable" ]]; then
    deploy/setup.sh
    build_release
    executable=.build/release/parley
fi

# The listener's address, for the command that is suggested below.
address="${PARLEY_LISTEN_ADDRESS:-127.0.0.1:8443}"
previous=
for argument in "$@"; do
    case "$argument" in
    --listen.address=*) address="${argument#*=}" ;;
    *) if [[ "$previous" == --listen.address ]]; then address="$argument"; fi ;;
    esac
    previous="$argument"
done

printf 'serve: open https://localhost:%s/ in a browser (its warning is about the development certificate), or\n' "${address##*:}" >&2
printf 'serve: in another terminal, try\n    %s talk wss://localhost:%s/v1/ws --insecure --text "hello"\n' "$executable" "${address##*:}" >&2
exec "$executable" serve "$@"
