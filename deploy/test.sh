#!/usr/bin/env bash
# Everything that has to hold before a change goes in: format, a build without a warning of ours, all tests, and a build of the fuzz targets
# and the benchmarks, which are packages of their own.
# Arguments go to "swift test", and nothing else is built then, for example: deploy/test.sh --filter OperationsServerTests
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() {
    printf 'test: %s\n' "$*" >&2
}

deploy/setup.sh test

step 'format'
swift format lint --strict --recursive --parallel --configuration .swift-format Package.swift Sources Tests

step 'build (some minutes the first time)'
log=.build/test-build.log
mkdir -p .build
built=true
swift build --build-tests >"$log" 2>&1 </dev/null || built=false

# The compiler turns warnings of our targets into errors (Package.swift), cached files included. What the package manager says of our
# package it only prints, as a compiler would whose setting got lost: both fail here. Warnings of libraries are theirs.
warnings="$(awk -v root="$PWD/" '
    /(warning|error): / && (index($0, root "Sources/") == 1 || index($0, root "Tests/") == 1 || index($0, root "Package.swift") == 1) { print; next }
    /^macro expansion .*: (warning|error): / { print; next }
    /^warning: .parley.: / { print }
' "$log" | sort -u)"
if [[ -n "$warnings" ]]; then
    printf '%s\n' "$warnings" >&2
    exit 1
fi
if [[ "$built" != true ]]; then
    tail -n 60 "$log" >&2
    exit 1
fi

step 'tests'
export PARLEY_TEST_PYTHON="$PWD/.build/venv/bin/python"
swift test --skip-build --disable-xctest "$@" </dev/null
(($# == 0)) || exit 0

# A debug build is enough to show that they compile; the fuzzer's library links with the release only. A build folder holds the plan of one
# package, so each has its own.
build_nested() {
    local package=$1 log=.build/test-build-$1.log
    shift
    step "build of Tests/$package"
    if ! swift build --package-path "Tests/$package" --scratch-path ".build/nested-$package" "$@" >"$log" 2>&1 </dev/null; then
        grep -E 'error:' "$log" >&2 || tail -n 40 "$log" >&2
        exit 1
    fi
}
build_nested Benchmarks
build_nested Fuzz --target fuzz
