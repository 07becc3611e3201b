// SPDX-License-Identifier: Apache-2.0

/// Detects when a change of files is complete.
///
/// An editor that replaces a file, and Kubernetes replacing a mounted directory, do so in several steps. In between, a file may be missing
/// or half written, and a reload would reject it or read only half of it. So a change is complete when two checks in a row find the same
/// fingerprint.
struct FileWatch {
    private var last: ConfigurationFingerprint?
    private var checks = 0

    /// After this many checks, files that keep changing are read anyway.
    static let maximumChecks = 10

    /// Whether the last check found a change that may be incomplete.
    var isSettling: Bool { last != nil }

    /// - Parameters:
    ///   - fingerprint: the fingerprint of this check
    ///   - known: the fingerprint of the files in effect
    /// - Returns: whether to read the files now
    mutating func hasChanged(_ fingerprint: ConfigurationFingerprint, from known: ConfigurationFingerprint) -> Bool {
        guard fingerprint != known else {
            self = FileWatch()
            return false
        }
        checks += 1
        if fingerprint == last || checks >= Self.maximumChecks {
            self = FileWatch()
            return true
        }
        last = fingerprint
        return false
    }
}
