#!/usr/bin/env bash
# From a fresh clone to a running gateway: installs what is missing, builds, and runs "parley serve" with the arguments given here.
# Standard output then carries the gateway's log lines and nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

deploy/setup.sh

# Built in, Swift's libraries needn't be on the machine that runs it.
log=.build/serve-build.log
mkdir -p .build
printf 'serve: building (some minutes the first time)\n' >&2
if ! swift build --configuration release --product parley --static-swift-stdlib >"$log" 2>&1 </dev/null; then
    grep -E 'error:' "$log" >&2 || tail -n 40 "$log" >&2
    exit 1
fi

# Where a client finds it: the listener's port, on this machine.
address="${PARLEY_LISTEN_ADDRESS:-127.0.0.1:8443}"
previous=
for argument in "$@"; do
    case "$argument" in
    --listen.address=*) address="${argument#*=}" ;;
    *) if [[ "$previous" == --listen.address ]]; then address="$argument"; fi ;;
    esac
    previous="$argument"
done

printf 'serve: in another terminal, try\n    .build/release/parley talk wss://localhost:%s/v1/ws --insecure --text "hello"\n' "${address##*:}" >&2
exec .build/release/parley serve "$@"
