#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a release: .build/release/parley, and parley-launch beside it. Arguments are passed to "swift build".
# Every script that needs a release builds it here: with other flags all packages would be rebuilt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

flags=(
    # Links Swift's libraries statically, so that the target machine doesn't need them.
    --static-swift-stdlib
    # Package.swift can set this for Parley's own modules only. SwiftNIO's run-time checks would cost another 10 % per message.
    -Xswiftc -enforce-exclusivity=unchecked
)
exec swift build --configuration release --product parley "${flags[@]}" "$@"
