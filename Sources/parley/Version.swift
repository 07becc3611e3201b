// SPDX-License-Identifier: Apache-2.0

import CArguments

/// The version of this executable and the commit that it was built from.
enum Version {
    static let number = "0.1.0"
    /// The abbreviated hash, which `deploy/build.sh` passes to the build; `unknown` in other builds.
    static let commit = String(cString: parley_commit())
    /// `parley 0.1.0 (c4d668a)`.
    static let text = "parley \(number) (\(commit))"
}
