#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A voice assistant in one command: an STT service, a chat server and a TTS service, each a small program of this directory,
# and Parley in front of them. Installs and builds what is missing.
# usage: voice-assistant.sh                                          runs until interrupted, and prints how to talk to it
#        voice-assistant.sh --ask "what time is it" [--live] [--out FILE]
#                          sends the spoken question through the gateway and exits after the response: a summary on standard
#                          error, one line of JSON on standard output, and the response's audio in FILE.
#                          --live streams the question in real time, to an STT service that sends partial transcripts.
#        --style emoji|markdown|hindi makes the chat server write with an emoji at the end, in Markdown, or in Hindi.
# PARLEY_EXECUTABLE names a gateway that is already built, PARLEY_LISTEN_ADDRESS the address that it listens on.
set -euo pipefail
readonly here="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly python="$PWD/.build/examples-venv/bin/python"
readonly examples="$PWD/deploy/examples"
readonly start_timeout_seconds=30

question='' out='' directory='' executable='' url='' style=plain
is_live=false
# Process ids by name. Each part leads its own process group.
declare -A parts=()

log() {
    printf 'voice-assistant: %s\n' "$*" >&2
}

fail() {
    log "$*"
    exit 1
}

usage() {
    sed -n '/^# usage:/,/^# PARLEY/s/^# \?//p' "$examples/voice-assistant.sh"
}

# Resolves a path against the caller's working directory.
absolute() {
    if [[ "$1" == /* ]]; then printf '%s\n' "$1"; else printf '%s\n' "$here/$1"; fi
}

read_arguments() {
    while (($#)); do
        case "$1" in
        --ask | --out)
            if (($# < 2)) || [[ -z "$2" ]]; then fail "$1 needs a value"; fi
            if [[ "$1" == --ask ]]; then question="$2"; else out="$(absolute "$2")"; fi
            shift
            ;;
        --live) is_live=true ;;
        --style)
            case "${2:-}" in
            plain | emoji | markdown | hindi) style="$2" ;;
            *) fail '--style must be plain, emoji, markdown or hindi' ;;
            esac
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1; --help lists the options" ;;
        esac
        shift
    done
    if [[ -z "$question" ]] && { [[ -n "$out" ]] || "$is_live"; }; then fail '--live and --out need --ask'; fi
}

# Starts a command in its own process group, so that Ctrl-C reaches only this script, which then ends the parts. If the
# script is killed, the parts end by themselves.
launch() {
    setsid setpriv --pdeathsig TERM "$@" </dev/null &
}

start() {
    local name="$1"
    launch "${@:2}" >"$directory/$name.log" 2>&1
    parts[$name]=$!
}

is_alive() {
    kill -0 "${parts[$1]}" 2>/dev/null
}

fail_with_log() {
    local name="$1"
    log "${*:2}; the last lines of its log:"
    tail -n 20 "$directory/$name.log" >&2
    exit 1
}

# Waits until a line of a part's log matches the expression, and stores the expression's group in `found`.
await() {
    local name="$1" expression="$2" deadline=$((SECONDS + start_timeout_seconds))
    found=''
    while true; do
        found="$(sed -nE "s/.*$expression.*/\1/p" "$directory/$name.log")"
        [[ -z "$found" ]] || return 0
        is_alive "$name" || fail_with_log "$name" "the $name exited before it was ready"
        ((SECONDS < deadline)) || fail_with_log "$name" "the $name wasn't ready within $start_timeout_seconds s"
        sleep 0.1
    done
}

# Ends every started process, whether or not its process id was recorded in time.
clean_up() {
    local status=$? pid
    trap '' INT TERM HUP
    local -a pids=()
    for pid in $(jobs -p); do pids+=("-$pid" "$pid"); done
    if ((${#pids[@]})); then
        kill -TERM -- "${pids[@]}" 2>/dev/null || true
        for _ in {1..80}; do
            kill -0 -- "${pids[@]}" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "${pids[@]}" 2>/dev/null || true
        wait 2>/dev/null || true
    fi
    if [[ -n "$directory" ]]; then rm -rf "$directory"; fi
    exit "$status"
}

set_up() {
    deploy/examples/setup.sh
    if [[ -n "${PARLEY_EXECUTABLE:-}" ]]; then
        executable="$(cd "$here" && realpath -e "$PARLEY_EXECUTABLE")" || fail "PARLEY_EXECUTABLE: $PARLEY_EXECUTABLE doesn't exist"
        [[ -x "$executable" ]] || fail "PARLEY_EXECUTABLE: $PARLEY_EXECUTABLE isn't executable"
        return
    fi
    deploy/setup.sh
    executable="$PWD/.build/release/parley"
    log 'building (some minutes the first time)'
    start build deploy/build.sh
    wait "${parts[build]}" || {
        grep -E 'error:' "$directory/build.log" >&2 || tail -n 40 "$directory/build.log" >&2
        exit 1
    }
    unset 'parts[build]'
}

# The chat server is slowed down, so that the first sentence is spoken before the last one is written.
start_upstreams() {
    start recogniser "$python" "$examples/recogniser.py" --http-port 0 --vosk-port 0
    start chat "$python" "$examples/chat.py" --port 0 --delay-ms 20 --style "$style"
    start speech "$python" "$examples/speech.py" --port 0
}

# Writes the gateway's configuration once the upstreams have printed their ports.
configure() {
    local recogniser_port vosk_port chat_port speech_port found
    await recogniser '"http_port": ([0-9]+)[,}]' && recogniser_port="$found"
    await recogniser '"vosk_port": ([0-9]+)[,}]' && vosk_port="$found"
    await chat '"port": ([0-9]+)[,}]' && chat_port="$found"
    await speech '"port": ([0-9]+)[,}]' && speech_port="$found"
    mkdir "$directory/config"
    cat >"$directory/config/gateway.yaml" <<CONFIGURATION
upstreams:
  recogniser:
    kind: openai
    task: transcription
    urls: [http://127.0.0.1:$recogniser_port/v1]
    model: pocketsphinx
  ear:
    kind: vosk
    urls: [ws://127.0.0.1:$vosk_port]
  model:
    kind: openai
    task: chat
    urls: [http://127.0.0.1:$chat_port/v1]
    model: rules
  voice:
    kind: openai
    task: speech
    urls: [http://127.0.0.1:$speech_port/v1]
    model: espeak-ng
routes:
  voice:
    upstreams: [recogniser, model, voice]
  live:
    meta: [ear=live]
    upstreams: [ear, model, voice]
CONFIGURATION
}

# The gateway writes its certificate to var in its working directory.
start_gateway() {
    local address="${PARLEY_LISTEN_ADDRESS:-127.0.0.1:0}" found
    start gateway env --chdir="$directory" --unset=PARLEY_EXECUTABLE "$executable" serve --environment development \
        --config "$directory/config" --listen.address "$address" --operations.address 127.0.0.1:0 --logging.format json
    await gateway '"msg":"listening","address":"[^"]*:([0-9]+)"'
    url="wss://localhost:$found/v1/ws"
    page="https://localhost:$found/"
}

explain() {
    cat >&2 <<TEXT
Speak to the assistant in a browser, at $page (its warning is about the development certificate).
It listens at $url. In another terminal:
    $python $examples/voice_client.py $url --ca $directory/var/development-cert.pem --text "what is two plus three" --out answer.wav
    $executable talk $url --ca $directory/var/development-cert.pem --text "what time is it"
Press Ctrl-C to stop. The gateway's log is $directory/gateway.log
TEXT
}

ask() {
    local -a options=(--ca "$directory/var/development-cert.pem" --wav "$directory/question.wav" --question "$question")
    if "$is_live"; then options+=(--live); fi
    if [[ -n "$out" ]]; then options+=(--out "$out"); fi
    log "the gateway listens at $url and logs to $directory/gateway.log"
    espeak-ng --stdin -v en-us+adam -s 160 -w "$directory/question.wav" <<<"$question"
    launch "$python" "$examples/voice_client.py" "$url" "${options[@]}"
    parts[client]=$!
}

# Waits until a part has exited. If the client fails because another part has exited, the other part is reported.
watch() {
    local name has_answer=false status=0
    while true; do
        if [[ -n "$question" ]] && ! is_alive client; then has_answer=true; fi
        for name in "${!parts[@]}"; do
            if [[ "$name" != client ]] && ! is_alive "$name"; then
                wait "${parts[$name]}" || status=$?
                fail_with_log "$name" "the $name exited with status $status"
            fi
        done
        if "$has_answer"; then
            wait "${parts[client]}" || status=$?
            exit "$status"
        fi
        sleep 0.2
    done
}

read_arguments "$@"
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
directory="$(mktemp --directory --tmpdir parley-voice-XXXXXXXX)"
set_up
start_upstreams
configure
start_gateway
if [[ -n "$question" ]]; then ask; else explain; fi
watch
