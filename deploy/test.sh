#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks a change before it is merged: the format, a build without warnings from this repository, all tests, a build of the benchmarks, the
# fuzz targets and the example of the client library, which are packages of their own, and the tarball of a release build.
# usage: deploy/test.sh [ARGUMENT …]
# Arguments are passed to "swift test", and nothing else is built, for example: deploy/test.sh --filter OperationsServerTests
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

# The compiler treats warnings in this repository's targets as errors (Package.swift), also in cached files. The package manager only prints
# its warnings about this package, and so would a compiler that has lost that setting: both fail here. Warnings in dependencies are ignored.
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

# A debug build is enough to check that they compile; the fuzzer's library links only with a release. A build directory holds the plan of one
# package, so each package has its own.
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
build_nested ParleyClientExample
step 'the example of the client library'
Tests/ParleyClientExample/run.sh

step 'release build (some minutes the first time)'
log=.build/test-release.log
if ! deploy/build.sh >"$log" 2>&1 </dev/null; then
    grep -E 'error:' "$log" >&2 || tail -n 40 "$log" >&2
    exit 1
fi
step 'package'
deploy/package/check.sh

unset PARLEY_TEST_PYTHON
export PARLEY_EXECUTABLE="$PWD/.build/release/parley"
step 'browser client'
Tests/SDK/run.sh short
step 'Python client'
Tests/SDK/python.sh --faults 25
