#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a cluster on this machine: HAProxy in front of three gateways, which share Redis with a replica and three Sentinels.
# usage: run.sh [--check] [--address ADDRESS]
#   --check             starts it with a new state, kills the gateway of a client that has sent a text, resumes on another one, kills the
#                       master of Redis, goes on, and stops
#   --address ADDRESS   a loopback address instead of 127.0.0.1; a second cluster needs one of its own
# Clients connect to wss://localhost:8443/v1/ws. Parts that are killed start again after a second (Redis after five); Ctrl-C stops all. The state
# is kept below var/cluster. PARLEY_EXECUTABLE names a gateway that is already built.
set -euo pipefail
readonly here="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/install.sh

readonly files="$PWD/deploy/cluster"
readonly start_timeout_seconds=60 redis_pause_seconds=5
readonly -a servers=(redis1 redis2) sentinels=(sentinel1 sentinel2 sentinel3) gateways=(node1 node2 node3)

check=false
address=127.0.0.1
# The process id of check.py.
client=
while (($#)); do
    case "$1" in
    --check) check=true ;;
    --address)
        [[ "${2:-}" =~ ^127\.[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail '--address: an address from 127.0.0.1 to 127.255.255.254 is required'
        address=$2
        shift
        ;;
    *) fail 'usage: run.sh [--check] [--address ADDRESS]' ;;
    esac
    shift
done

log() { printf 'cluster: %s\n' "$*" >&2; }

# Prints the port of a part: of its clients, or of another listener.
port_of() {
    case "$1" in
    node?) printf '85%02d' "${1#node}" ;;
    operations?) printf '96%02d' "${1#operations}" ;;
    link?) printf '95%02d' "${1#link}" ;;
    redis?) printf '63%02d' $((80 + ${1#redis})) ;;
    sentinel?) printf '263%02d' $((80 + ${1#sentinel})) ;;
    esac
}

# Starts a part in its own process group; it ends with this script, even if the script is killed.
launch() {
    local name=$1
    shift
    setsid setpriv --pdeathsig TERM "$@" </dev/null >>"$state/$name.log" 2>&1 &
    pids[$name]=$!
    # Bash doesn't report how the part ends.
    disown "${pids[$name]}"
}

start() {
    local name=$1 number=${1: -1} sentinel urls=''
    case "$name" in
    redis?) launch "$name" redis-server "$state/$name/redis.conf" ;;
    sentinel?) launch "$name" redis-server "$state/$name/sentinel.conf" --sentinel ;;
    node?)
        for sentinel in "${sentinels[@]}"; do urls+="${urls:+,}redis+sentinel://$address:$(port_of "$sentinel")/parley"; done
        launch "$name" env --chdir="$state/$name" PARLEY_CLUSTER_SECRET_FILE="$state/cluster-secret" \
            "$executable" serve --environment development --config "$files" \
            --listen.address="$address:$(port_of "$name")" --tls.certificates="$state/certificate.pem:$state/key.pem" \
            --operations.address="$address:$(port_of "operations$number")" \
            --store.urls="$urls" --store.password_file="$state/redis-password" \
            --cluster.node="$name" --cluster.listen="$address:$(port_of "link$number")"
        ;;
    haproxy) launch haproxy env CLUSTER_ADDRESS="$address" "$haproxy" -db -C "$state" -f "$files/haproxy.cfg" ;;
    esac
}

is_running() { [[ -n "${pids[$1]:-}" ]] && kill -0 "${pids[$1]}" 2>/dev/null; }

fail_with_log() {
    log "$2; the last lines of its log:"
    tail -n 20 "$state/$1.log" >&2
    exit 1
}

# await PART WHAT COMMAND…: waits until the command succeeds.
await() {
    local name=$1 what=$2 deadline=$((SECONDS + start_timeout_seconds))
    shift 2
    until "$@" >/dev/null 2>&1; do
        is_running "$name" || fail_with_log "$name" "$name exited before $what"
        ((SECONDS < deadline)) || fail_with_log "$name" "$name: not $what within $start_timeout_seconds s"
        sleep 0.1
    done
}

redis() {
    local name=$1
    shift
    REDISCLI_AUTH="$(<"$state/redis-password")" redis-cli -h "$address" -p "$(port_of "$name")" "$@"
}

# Sentinels have no password.
sentinel() { redis-cli -h "$address" -p "$(port_of sentinel1)" sentinel "$@"; }

# The port of the current master.
master() { sentinel get-master-addr-by-name parley | tail -n 1; }

has_replica() {
    local name
    for name in "${servers[@]}"; do
        if [[ "$(port_of "$name")" == "$(master)" ]]; then redis "$name" info replication | grep -q 'state=online' && return; fi
    done
    return 1
}

has_quorum() { sentinel ckquorum parley | grep -q '^OK 3 usable'; }

is_ready() { "$executable" health --address "$address:$(port_of "operations${1: -1}")"; }

# Stops parts in order, each with some seconds to end.
stop() {
    local name
    for name in "$@"; do [[ -z "${pids[$name]:-}" ]] || kill -TERM -- "-${pids[$name]}" 2>/dev/null || true; done
    for name in "$@"; do
        [[ -n "${pids[$name]:-}" ]] || continue
        for _ in {1..150}; do
            kill -0 -- "-${pids[$name]}" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-${pids[$name]}" 2>/dev/null || true
        unset "pids[$name]"
    done
}

clean_up() {
    local status=$?
    trap '' INT TERM HUP
    [[ -z "$client" ]] || kill "$client" 2>/dev/null || true
    # The gateways first: they store what they have before Redis stops.
    stop "${gateways[@]}"
    stop haproxy "${sentinels[@]}" "${servers[@]}"
    [[ "$check" == false ]] || rm -rf "$state"
    exit "$status"
}

# Installs and builds what is missing.
missing=()
for tool in redis-server redis-sentinel openssl; do command -v "$tool" >/dev/null || missing+=("$tool"); done
haproxy="$(command -v haproxy || true)"
if [[ -z "$haproxy" && -x /usr/sbin/haproxy ]]; then haproxy=/usr/sbin/haproxy; fi
[[ -n "$haproxy" ]] || missing+=(haproxy)
if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
haproxy="${haproxy:-/usr/sbin/haproxy}"
# The client of the check.
if [[ "$check" == true ]]; then make_environment .build/cluster-venv websockets 'websockets>=13,<18'; fi
if [[ -n "${PARLEY_EXECUTABLE:-}" ]]; then
    executable="$(cd "$here" && realpath -e "$PARLEY_EXECUTABLE")" || fail "PARLEY_EXECUTABLE: $PARLEY_EXECUTABLE doesn't exist"
else
    log 'building (some minutes the first time)'
    deploy/setup.sh
    deploy/build.sh >&2
    executable="$PWD/.build/release/parley"
fi
# The gateway rejects variables with its prefix that it doesn't know.
unset PARLEY_EXECUTABLE

declare -A pids=() ended=()
umask 077
if [[ "$check" == true ]]; then
    state="$(mktemp --directory --tmpdir parley-fleet-XXXXXXXX)"
else
    state="$PWD/var/cluster/$address"
    mkdir -p "$state"
    # Two scripts with the same state would start two masters.
    exec 9>"$state/lock"
    flock --nonblock 9 || fail "a cluster with the address $address is running already; choose another --address"
fi
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Secrets and a certificate, the first time.
for secret in redis-password cluster-secret; do [[ -s "$state/$secret" ]] || openssl rand -hex 32 >"$state/$secret"; done
if [[ ! -s "$state/certificate.pem" ]] || ! openssl x509 -checkend 86400 -noout -in "$state/certificate.pem" >/dev/null; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 60 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$state/key.pem" -out "$state/certificate.pem" 2>/dev/null
fi
password="$(<"$state/redis-password")"

# Redis and Sentinel write the current master into their files, so these are created only once.
for name in "${servers[@]}"; do
    [[ ! -s "$state/$name/redis.conf" ]] || continue
    mkdir -p "$state/$name"
    {
        printf 'include %s\nbind %s\nport %s\ndir %s\n' "$files/redis.conf" "$address" "$(port_of "$name")" "$state/$name"
        printf 'replica-announce-ip %s\nrequirepass %s\nmasterauth %s\n' "$address" "$password" "$password"
        if [[ "$name" != redis1 ]]; then printf 'replicaof %s %s\n' "$address" "$(port_of redis1)"; fi
    } >"$state/$name/redis.conf"
done
for name in "${sentinels[@]}"; do
    [[ ! -s "$state/$name/sentinel.conf" ]] || continue
    mkdir -p "$state/$name"
    {
        printf 'bind %s\nport %s\ndir %s\n' "$address" "$(port_of "$name")" "$state/$name"
        printf 'sentinel announce-ip %s\n' "$address"
        printf 'sentinel monitor parley %s %s 2\nsentinel auth-pass parley %s\n' "$address" "$(port_of redis1)" "$password"
        cat "$files/sentinel.conf"
    } >"$state/$name/sentinel.conf"
done

for name in "${servers[@]}"; do
    start "$name"
    await "$name" 'accepting connections' redis "$name" ping
done
for name in "${sentinels[@]}"; do start "$name"; done
await sentinel1 'in agreement with the others' has_quorum
await redis1 'followed by its replica' has_replica
for name in "${gateways[@]}"; do
    mkdir -p "$state/$name"
    start "$name"
done
for name in "${gateways[@]}"; do await "$name" ready is_ready "$name"; done
start haproxy
await haproxy 'accepting connections' bash -c "exec 3<>/dev/tcp/$address/8443"
log "three gateways, Redis with a replica, and three Sentinels are running; their logs are in $state"

# Starts the named parts again some time after they ended. Redis later than Sentinel needs to promote the replica.
supervise() {
    local name pause
    for name in "$@"; do
        if is_running "$name"; then continue; fi
        if [[ -z "${ended[$name]:-}" ]]; then
            log "$name has ended"
            ended[$name]=$SECONDS
        fi
        pause=1
        [[ "$name" != redis? ]] || pause=$redis_pause_seconds
        ((SECONDS >= ended[$name] + pause)) || continue
        unset "ended[$name]"
        log "$name is started again"
        start "$name"
    done
    for name in "${!pids[@]}"; do printf '%s %s\n' "$name" "${pids[$name]}"; done | sort >"$state/pids"
}

if [[ "$check" == true ]]; then
    supervise
    .build/cluster-venv/bin/python -B "$files/check.py" "$address" "$state" &
    client=$!
    # The gateways stay down, so that the session has to continue on another one.
    while kill -0 "$client" 2>/dev/null; do
        supervise "${servers[@]}"
        sleep 1
    done
    wait "$client"
    exit
fi

log "try: $executable talk wss://$address:8443/v1/ws --insecure --text hello"
log "then kill parts of the cluster: $state/pids lists their process ids"
while true; do
    supervise "${servers[@]}" "${sentinels[@]}" "${gateways[@]}" haproxy
    sleep 1
done
