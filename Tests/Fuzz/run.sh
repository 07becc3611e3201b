#!/usr/bin/env bash
# Fuzzes what reads the bytes of strangers, with libFuzzer and the address sanitizer.
#
#   Tests/Fuzz/run.sh [--minutes N] [target...]      ten minutes of each target, one after the other
#   Tests/Fuzz/run.sh replay [target...]             every seed and every case that was ever found, once; a minute in all
#
# Targets and what they promise: the doc comments in Fuzz/*Target.swift. Corpus/ holds the seeds; what grows from them stays in .build/corpus.
# A case that breaks a promise is written to Found/, and the script fails. When it is fixed it stays there, and gets a named test in the suite.
# FUZZ_RUNS, for example FUZZ_RUNS=1000, ends a target after so many inputs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly all=(scanner frames inflate deflate upgrade tls configuration connection session answers calls)
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
            sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
            exit 2
            ;;
        *) targets+=("$1") ;;
    esac
    shift
done
if ((${#targets[@]} == 0)); then targets=("${all[@]}"); fi

../../deploy/setup.sh
swift build -c release --product fuzz

# Swift's backtracer would take the signals on which libFuzzer writes down its case.
export SWIFT_BACKTRACE=enable=no
# A few frames of every allocation are enough to find a mistake, and take half the time.
export ASAN_OPTIONS="${ASAN_OPTIONS:-malloc_context_size=4:detect_stack_use_after_return=0}"
failed=()
for target in "${targets[@]}"; do
    grown=".build/corpus/$target"
    mkdir -p "$grown" "Found/$target" "Corpus/$target"
    # Seconds and MiB of one input: both far over what any input needs, even on a busy machine.
    options=(-timeout=60 -rss_limit_mb=3000 -malloc_limit_mb=1000 -print_final_stats=1 -artifact_prefix="Found/$target/")
    case "$target" in
        scanner | session | answers) options+=(-dict=Dictionaries/messages.dict) ;;
        upgrade | connection) options+=(-dict=Dictionaries/http.dict) ;;
        configuration) options+=(-dict=Dictionaries/configuration.dict) ;;
    esac
    printf '== %s\n' "$target"
    export FUZZ_TARGET="$target"
    if "$is_replay"; then
        .build/release/fuzz "${options[@]}" -runs=0 "Corpus/$target" "Found/$target" || failed+=("$target")
    else
        # Inputs grow to 8 KiB as short ones stop bringing anything new.
        .build/release/fuzz "${options[@]}" -max_len=8192 -use_value_profile=1 -max_total_time=$((minutes * 60)) -runs="${FUZZ_RUNS:--1}" \
            "$grown" "Corpus/$target" "Found/$target" || failed+=("$target")
    fi
done
if ((${#failed[@]})); then
    printf 'fuzz: a promise was broken in %s; the cases are in Tests/Fuzz/Found\n' "${failed[*]}" >&2
    exit 1
fi
