#!/usr/bin/env bash
# Builds the release: .build/release/parley, and parley-launch beside it. Arguments go to "swift build".
# Everything that runs a release is built here, since other flags would build all packages anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

flags=(
    # Built in, Swift's libraries needn't be on the machine that runs it.
    --static-swift-stdlib
    # Package.swift can say this of our own modules only. SwiftNIO's checks at run time cost a message another tenth.
    -Xswiftc -enforce-exclusivity=unchecked
)
exec swift build --configuration release --product parley "${flags[@]}" "$@"
