#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests the browser client (Sources/ParleyJS).
# usage: Tests/SDK/run.sh [short|types|unit|live|browser]
#        Tests/SDK/run.sh [faults|faults-builtin|faults-chromium|demo] [ARGUMENT …]
# Without arguments, all but "short": 25 faults each with the package ws, the WebSocket of Node.js and Chromium, and no checks of the heap.
# "short" has no assertion about time but those of the protocol, for deploy/test.sh. The long runs are
#   Tests/SDK/run.sh faults --faults 500 --scale 1
#   Tests/SDK/run.sh demo --only heap
# PARLEY_EXECUTABLE is the path of an existing build; without it, a release is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/setup.sh test

step() {
    printf 'SDK: %s\n' "$*" >&2
}

gateway() {
    if [[ -z "${PARLEY_EXECUTABLE:-}" ]]; then
        deploy/build.sh >/dev/null
        export PARLEY_EXECUTABLE="$PWD/.build/release/parley"
    fi
}

types() (
    step 'types and size'
    local folder options
    options=(--strict --noEmit --target es2022 --module es2022 --moduleResolution node --lib 'es2022,dom,dom.iterable')
    tsc --allowJs --checkJs "${options[@]}" Sources/ParleyJS/parley.js Sources/ParleyJS/parley-audio.js
    folder="$(mktemp -d)"
    trap 'rm -rf "$folder"' EXIT
    cp Sources/ParleyJS/*.d.ts Tests/SDK/types.ts "$folder"
    cp Sources/ParleyJS/parley.js "$folder/built.js"
    # Without its body, which refers to parley.d.ts.
    touch "$folder/parley.js"
    tsc --allowJs --checkJs "${options[@]}" "$folder/types.ts"
    local size
    size="$(wc -c <Sources/ParleyJS/parley.js)"
    if ((size >= 40000)); then
        printf 'parley.js has %d bytes, more than 40 KB\n' "$size" >&2
        return 1
    fi
)

unit() {
    step 'logic'
    node --test Tests/SDK/unit.mjs
}

live() {
    step 'tokens, limits, pushes and ends'
    gateway
    node --test Tests/SDK/live.mjs
}

faults() {
    step 'faults, with the package ws'
    gateway
    node Tests/SDK/faults.mjs "$@"
}

faults-builtin() {
    step 'faults, with the WebSocket of Node.js'
    gateway
    # Node.js 22 has it without the option.
    local options=()
    node -e 'process.exit(typeof WebSocket === "function" ? 0 : 1)' || options+=(--experimental-websocket)
    node "${options[@]}" Tests/SDK/faults.mjs --socket builtin "$@"
}

faults-chromium() {
    step 'faults, in Chromium'
    gateway
    node Tests/SDK/faults.mjs --socket chromium "$@"
}

browser() {
    step 'Chromium'
    gateway
    node Tests/SDK/chromium.mjs
}

demo() {
    step 'the demo page in Chromium'
    gateway
    node Tests/SDK/demo.mjs "$@"
}

# Debian 12 has an older Node.js, without some of the browsers' classes.
node_is_new() {
    node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' && return
    step 'the other tests need Node.js 20 or later: skipped'
    return 1
}

short() {
    types
    node_is_new || return 0
    unit
    live
    faults
    demo --only 'network is cut'
}

all() {
    types
    node_is_new || return 0
    unit
    live
    faults
    faults-builtin
    faults-chromium
    browser
    # The checks of the heap take five minutes.
    demo --skip heap --frozen 5000
}

if (($# == 0)); then all; else "$@"; fi
