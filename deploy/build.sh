#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a release: .build/release/parley, and parley-launch beside it. Arguments are passed to "swift build".
# With --package as the first argument, deploy/package/package.sh then makes a tarball of it, .build/parley-VERSION-linux-ARCHITECTURE.tar.gz.
# Every script that needs a release builds it here: with other flags all packages would be rebuilt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

package=false
if [[ "${1:-}" == --package ]]; then
    package=true
    shift
fi

# The commit for "parley --version". PARLEY_COMMIT names it where there is no repository, as in a container's build.
if [[ -z "${PARLEY_COMMIT:-}" ]]; then
    PARLEY_COMMIT="$(git describe --always --dirty --exclude='*' --abbrev=7 2>/dev/null || printf 'unknown')"
fi
export PARLEY_COMMIT

flags=(
    # Links Swift's libraries statically, so that the target machine doesn't need them.
    --static-swift-stdlib
    # Package.swift can set this for Parley's own modules only. SwiftNIO's run-time checks would cost another 10 % per message.
    -Xswiftc -enforce-exclusivity=unchecked
)
swift build --configuration release --product parley "${flags[@]}" "$@"
if [[ "$package" == true ]]; then exec deploy/package/package.sh; fi
