# SPDX-License-Identifier: Apache-2.0

# Builds the tools and starts the servers of run.sh, allocations.sh and proxy.sh. Sourced with the root of the repository as the working
# directory.

readonly here=Tests/Benchmarks
readonly tools=$here/.build/tools
# Below the ephemeral range, so that no outgoing connection can occupy it.
readonly port=19443

servers=()

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Prints the threshold of a measurement in thresholds.tsv.
threshold() {
    awk -F '\t' -v name="$1" '$1 == name { print $3; found = 1 } END { exit !found }' $here/thresholds.tsv || fail "no threshold for $1"
}

# Runs COMMAND to build TARGET if any of FILES is newer: build TARGET COMMAND… -- FILES…
build() {
    local target=$1 file fresh=yes
    local -a command=()
    shift
    while [[ "$1" != -- ]]; do
        command+=("$1")
        shift
    done
    shift
    for file in "$@"; do
        if [[ ! "$target" -nt "$file" ]]; then fresh=no; fi
    done
    [[ $fresh == no ]] || return 0
    printf 'building %s\n' "$target" >&2
    "${command[@]}" || fail "could not build $target"
}

build_gateway() {
    local log=$here/.build/gateway.log
    printf 'building the gateway (some minutes the first time)\n' >&2
    if ! deploy/build.sh >"$log" 2>&1 </dev/null; then
        grep -E 'error:' "$log" >&2 || tail -n 40 "$log" >&2
        exit 1
    fi
}

build_load() {
    build $tools/load cc -O2 -Wall -Wextra -o $tools/load $here/Load/*.c -lssl -lcrypto -- $here/Load/*
}

build_peers() {
    build $tools/beast g++ -O3 -march=native -std=c++20 -o $tools/beast $here/Peers/beast/main.cpp -lsimdjson -lssl -lcrypto -lpthread \
        -- $here/Peers/beast/*
    build $tools/floor cc -O3 -march=native -Wall -Wextra -o $tools/floor $here/Peers/floor/floor.c -lssl -lcrypto -- $here/Peers/floor/*
}

build_counter() {
    local source=$here/Allocations/counter.c
    build $tools/counter.so cc -O2 -Wall -Wextra -fPIC -shared -o $tools/counter.so $source -ldl -- $source
}

# One P-256 certificate for all servers, so that their handshakes cost the same. The gateway's development certificate is P-256, too.
make_certificate() {
    [[ -s $tools/cert.pem && -s $tools/key.pem ]] && openssl x509 -in $tools/cert.pem -noout -checkend 86400 >/dev/null && return
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout $tools/key.pem -out $tools/cert.pem 2>/dev/null ||
        fail 'openssl could not create the certificate'
}

# The payloads: texts of 120 and 600 characters and one of 16,000 in several scripts with some escapes, and audio.
make_payloads() {
    python3 - $tools <<'P'
import json, sys

directory = sys.argv[1]
short = ("The quick brown fox jumps over the lazy dog. " * 3)[:120]
mixed = 'Grüße — naïve café; привет, мир; こんにちは世界; γειά σου; नमस्ते. He said "yes"\n\tand C:\\left. Plain words, as most are, go on. '
long = (mixed * 200)[:16000]
for name, text in ("text", short), ("middle", long[:600]), ("long", long):
    # Without "stream": false, the loopback would split its response to a text of more than 20 words into deltas.
    message = {"type": "text", "id": "########", "text": text, "stream": False}
    with open(f"{directory}/{name}.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
for name, size in ("audio", 640), ("chunk", 16384):
    with open(f"{directory}/{name}.pcm", "wb") as file:
        file.write(bytes((i * 37 + i // 256) % 256 for i in range(size)))
P
}

# Waits until a server accepts connections: await_port PORT PID
await_port() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
        kill -0 "$2" 2>/dev/null || fail "the server exited at startup; see $here/.build/server.log"
        sleep 0.05
    done
    fail "nothing listens on port $1"
}

# Starts the gateway with all features on, and with limits that are checked but never reached: start_gateway CORES LOOPS [VARIABLE=VALUE…]
start_gateway() {
    local cores=$1 loops=$2
    shift 2
    env "$@" taskset --cpu-list "$cores" "$binary" serve \
        --config "$tools/config" --environment development \
        --listen.address "127.0.0.1:$port" --listen.loops "$loops" --operations.address "127.0.0.1:$((port + 1))" \
        --tls.certificates "$tools/cert.pem:$tools/key.pem" \
        --logging.level warning --logging.format json --store.kind memory \
        --connections.max 20000 --connections.per_address 20000 --connections.handshakes_per_second 0 --sessions.max 20000 --sessions.max_detached 20000 \
        --limits.text_per_minute 1000000000 --limits.control_per_minute 1000000000 --limits.bytes_per_second 1TB \
        --limits.audio_per_minute 1000000000 --limits.audio_chunks_per_second 1000000000 --limits.audio_realtime_factor 1000000 \
        >$here/.build/server.log 2>&1 </dev/null &
    server=$!
    servers+=("$server")
    await_port "$port" "$server"
}

# Starts another server: start_peer CORES PROGRAM
start_peer() {
    taskset --cpu-list "$1" "$tools/$2" "$port" "$tools/cert.pem" "$tools/key.pem" >$here/.build/server.log 2>&1 </dev/null &
    server=$!
    servers+=("$server")
    await_port "$port" "$server"
}

# Kills the server: a graceful shutdown would wait for its clients.
stop_server() {
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
}

stop_servers() {
    local pid
    for pid in "${servers[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
}
trap stop_servers EXIT

prepare() {
    deploy/setup.sh bench
    mkdir -p $tools/config
    # Both ends of up to 10,000 connections are on this machine.
    ulimit -n "$(ulimit -H -n)"
    if [[ -z "${binary:-}" ]]; then
        build_gateway
        binary=.build/release/parley
    fi
    [[ -x "$binary" ]] || fail "$binary is not executable"
    build_load
    make_certificate
    make_payloads
}
