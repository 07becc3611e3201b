// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// Checks whether a file can be created, without creating it.
enum DirectoryAccess {
    /// Returns the directory of a file; `.` for a bare name.
    static func directory(of path: String) -> String {
        let directory = (path as NSString).deletingLastPathComponent
        return directory.isEmpty ? "." : directory
    }

    /// Returns the reason why no file can be created in a directory, or nil if files can be created. The directory itself may be missing.
    static func failureReason(writingIn directory: String) -> String? {
        var current = directory.isEmpty ? "." : directory
        while true {
            if let mode = FileMode(of: current) {
                guard mode.isDirectory else { return "\(current) isn't a directory" }
                return access(current, W_OK | X_OK) == 0 ? nil : "\(current): \(String(cString: strerror(errno)))"
            }
            guard errno == ENOENT else { return "\(current): \(String(cString: strerror(errno)))" }
            let parent = (current as NSString).deletingLastPathComponent
            // The working directory or the root was removed; there is no parent to check.
            guard parent != current, current != "." else { return "\(current): no such directory" }
            current = parent.isEmpty ? "." : parent
        }
    }
}
