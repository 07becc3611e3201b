#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes the code that reads untrusted bytes, with libFuzzer and the address sanitizer.
#
#   Tests/Fuzz/run.sh [--minutes N] [target...]      fuzzes each target for N minutes (default 10), one after the other
#   Tests/Fuzz/run.sh replay [target...]             runs every seed and every saved failure once; takes a minute
#
# The doc comments in Fuzz/*Target.swift list the invariants. Corpus/ has the seeds; inputs derived from them are in .build/corpus. An input
# that violates an invariant is saved in Found/, and the script fails. Keep the input there after the fix, and add a named test to the suite.
# FUZZ_RUNS limits the number of inputs per target, for example FUZZ_RUNS=1000.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly all=(scanner frames inflate deflate upgrade tls configuration connection session responses calls token redis nodes)
minutes=10
is_replay=false
targets=()
while (($#)); do
    case "$1" in
        --minutes)
            minutes="${2:?--minutes needs a number}"
            shift
            ;;
        replay) is_replay=true ;;
        -*)
            sed -n '3,10s/^# \{0,1\}//p' run.sh >&2
            exit 2
            ;;
        *) targets+=("$1") ;;
    esac
    shift
done
if ((${#targets[@]} == 0)); then targets=("${all[@]}"); fi

../../deploy/setup.sh
swift build -c release --product fuzz

# Swift's backtracer would catch the signals on which libFuzzer saves the input.
export SWIFT_BACKTRACE=enable=no
# Four frames per allocation suffice to find a bug, and halve the run time.
export ASAN_OPTIONS="${ASAN_OPTIONS:-malloc_context_size=4:detect_stack_use_after_return=0}"
failed=()
for target in "${targets[@]}"; do
    generated=".build/corpus/$target"
    mkdir -p "$generated" "Found/$target" "Corpus/$target"
    # Limits for one input, in seconds and MiB, far above what any input needs even on a busy machine.
    options=(-timeout=60 -rss_limit_mb=3000 -malloc_limit_mb=1000 -print_final_stats=1 -artifact_prefix="Found/$target/")
    case "$target" in
        scanner | session | responses) options+=(-dict=Dictionaries/messages.dict) ;;
        upgrade | connection) options+=(-dict=Dictionaries/http.dict) ;;
        configuration) options+=(-dict=Dictionaries/configuration.dict) ;;
        redis) options+=(-dict=Dictionaries/redis.dict) ;;
    esac
    printf '== %s\n' "$target"
    export FUZZ_TARGET="$target"
    if "$is_replay"; then
        .build/release/fuzz "${options[@]}" -runs=0 "Corpus/$target" "Found/$target" || failed+=("$target")
    else
        # libFuzzer lets inputs grow up to 8 KiB once short ones stop reaching new code.
        .build/release/fuzz "${options[@]}" -max_len=8192 -use_value_profile=1 -max_total_time=$((minutes * 60)) -runs="${FUZZ_RUNS:--1}" \
            "$generated" "Corpus/$target" "Found/$target" || failed+=("$target")
    fi
done
if ((${#failed[@]})); then
    printf 'fuzz: invariants violated in %s; the inputs are in Tests/Fuzz/Found\n' "${failed[*]}" >&2
    exit 1
fi
