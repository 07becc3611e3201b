import Foundation
import Glibc

/// Checks whether a file can be created, without creating it.
enum FolderAccess {
    /// Returns the directory of a file; `.` for a bare name.
    static func folder(of path: String) -> String {
        let folder = (path as NSString).deletingLastPathComponent
        return folder.isEmpty ? "." : folder
    }

    /// Returns the reason why no file can be created in a directory, which itself may have to be created; nil when one can.
    static func obstacle(toWritingIn folder: String) -> String? {
        var current = folder.isEmpty ? "." : folder
        while true {
            if let mode = FileMode(of: current) {
                guard mode.isFolder else { return "\(current) isn't a directory" }
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
