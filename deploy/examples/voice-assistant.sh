#!/usr/bin/env bash
# A voice assistant in one command: a recogniser, a chat server and a speaker, each a small program of this folder, and
# Parley in front of them. Installs and builds what is missing.
# usage: voice-assistant.sh                                          runs until it is interrupted, and says how to talk to it
#        voice-assistant.sh --ask "what time is it" [--live] [--out FILE]
#                          speaks the question, sends it through the gateway, and ends with the answer: what people want to
#                          see on standard error, one line of JSON on standard output, and the answer's sound in FILE.
#                          --live speaks no faster than a human would, to a recogniser that shows what it has understood.
#        --style emoji|markdown|hindi has the model write as models do: with an emoji behind the answer, in Markdown, in Hindi.
# PARLEY_EXECUTABLE names a gateway that is built already, PARLEY_LISTEN_ADDRESS where it is to listen.
set -euo pipefail
readonly here="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly python="$PWD/.build/examples-venv/bin/python"
readonly examples="$PWD/deploy/examples"
readonly patience_seconds=30

question='' out='' folder='' executable='' url='' style=plain
is_live=false
# Process ids by name. Each part is the leader of a process group.
declare -A parts=()

say() {
    printf 'voice-assistant: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

usage() {
    sed -n '/^# usage:/,/^# PARLEY/s/^# \?//p' "$examples/voice-assistant.sh"
}

# A path as the caller means it.
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
            *) fail '--style is plain, emoji, markdown or hindi' ;;
            esac
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "what is $1? --help tells the options" ;;
        esac
        shift
    done
    if [[ -z "$question" ]] && { [[ -n "$out" ]] || "$is_live"; }; then fail '--live and --out go with --ask'; fi
}

# Starts a command in a process group of its own: Ctrl-C reaches this script alone, which ends the parts. Should it be
# killed, they end by themselves.
launch() {
    setsid setpriv --pdeathsig TERM "$@" </dev/null &
}

start() {
    local name="$1"
    launch "${@:2}" >"$folder/$name.log" 2>&1
    parts[$name]=$!
}

is_alive() {
    kill -0 "${parts[$1]}" 2>/dev/null
}

fail_with_log() {
    local name="$1"
    say "${*:2}; the last lines of its log:"
    tail -n 20 "$folder/$name.log" >&2
    exit 1
}

# Waits until the log of a part holds what the expression's group stands for, and puts that into `found`.
await() {
    local name="$1" expression="$2" deadline=$((SECONDS + patience_seconds))
    found=''
    while true; do
        found="$(sed -nE "s/.*$expression.*/\1/p" "$folder/$name.log")"
        [[ -z "$found" ]] || return 0
        is_alive "$name" || fail_with_log "$name" "the $name ended before it was ready"
        ((SECONDS < deadline)) || fail_with_log "$name" "the $name wasn't ready within $patience_seconds s"
        sleep 0.1
    done
}

# Ends what was started, whether or not its process id was noted in time.
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
    if [[ -n "$folder" ]]; then rm -rf "$folder"; fi
    exit "$status"
}

set_up() {
    deploy/examples/setup.sh
    if [[ -n "${PARLEY_EXECUTABLE:-}" ]]; then
        executable="$(cd "$here" && realpath -e "$PARLEY_EXECUTABLE")" || fail "there is no $PARLEY_EXECUTABLE"
        [[ -x "$executable" ]] || fail "$PARLEY_EXECUTABLE can't be executed"
        return
    fi
    deploy/setup.sh
    executable="$PWD/.build/release/parley"
    say 'building (some minutes the first time)'
    start build deploy/build.sh
    wait "${parts[build]}" || {
        grep -E 'error:' "$folder/build.log" >&2 || tail -n 40 "$folder/build.log" >&2
        exit 1
    }
    unset 'parts[build]'
}

# A model that takes its time: the first sentence is heard before the last is written.
start_upstreams() {
    start recogniser "$python" "$examples/recogniser.py" --http-port 0 --vosk-port 0
    start chat "$python" "$examples/chat.py" --port 0 --delay-ms 20 --style "$style"
    start speech "$python" "$examples/speech.py" --port 0
}

# Writes the gateway's configuration as soon as the upstreams say where they listen.
configure() {
    local recogniser_port vosk_port chat_port speech_port found
    await recogniser '"http_port": ([0-9]+)[,}]' && recogniser_port="$found"
    await recogniser '"vosk_port": ([0-9]+)[,}]' && vosk_port="$found"
    await chat '"port": ([0-9]+)[,}]' && chat_port="$found"
    await speech '"port": ([0-9]+)[,}]' && speech_port="$found"
    mkdir "$folder/config"
    cat >"$folder/config/gateway.yaml" <<CONFIGURATION
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

# The gateway puts its certificate into var, below where it runs.
start_gateway() {
    local address="${PARLEY_LISTEN_ADDRESS:-127.0.0.1:0}" found
    start gateway env --chdir="$folder" --unset=PARLEY_EXECUTABLE "$executable" serve --environment development \
        --config "$folder/config" --listen.address "$address" --operations.address 127.0.0.1:0 --logging.format json
    await gateway '"msg":"listening","address":"[^"]*:([0-9]+)"'
    url="wss://localhost:$found/v1/ws"
}

explain() {
    cat >&2 <<TEXT
The assistant listens at $url. In another terminal:
    $python $examples/voice_client.py $url --ca $folder/var/development-cert.pem --text "what is two plus three" --out answer.wav
    $executable talk $url --ca $folder/var/development-cert.pem --text "what time is it"
Ctrl-C ends it. The gateway's log is $folder/gateway.log
TEXT
}

ask() {
    local -a options=(--ca "$folder/var/development-cert.pem" --wav "$folder/question.wav" --question "$question")
    if "$is_live"; then options+=(--live); fi
    if [[ -n "$out" ]]; then options+=(--out "$out"); fi
    say "the gateway listens at $url and logs to $folder/gateway.log"
    espeak-ng --stdin -v en-us+adam -s 160 -w "$folder/question.wav" <<<"$question"
    launch "$python" "$examples/voice_client.py" "$url" "${options[@]}"
    parts[client]=$!
}

# Until one of the parts has ended. Where another takes the client along, it is the other that is to be told of.
watch() {
    local name has_answer=false status=0
    while true; do
        if [[ -n "$question" ]] && ! is_alive client; then has_answer=true; fi
        for name in "${!parts[@]}"; do
            if [[ "$name" != client ]] && ! is_alive "$name"; then
                wait "${parts[$name]}" || status=$?
                fail_with_log "$name" "the $name ended with status $status"
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
folder="$(mktemp --directory --tmpdir parley-voice-XXXXXXXX)"
set_up
start_upstreams
configure
start_gateway
if [[ -n "$question" ]]; then ask; else explain; fi
watch
