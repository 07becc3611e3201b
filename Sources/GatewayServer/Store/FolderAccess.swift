import Foundation
import Glibc

/// Whether a file can be made, found out without making it.
enum FolderAccess {
    /// The folder of a file; `.` for a name alone.
    static func folder(of path: String) -> String {
        let folder = (path as NSString).deletingLastPathComponent
        return folder.isEmpty ? "." : folder
    }

    /// The reason, in words, why no file can be made in a folder, which itself may have to be made; nil when one can.
    static func obstacle(toWritingIn folder: String) -> String? {
        var place = folder.isEmpty ? "." : folder
        while true {
            if let mode = FileMode(of: place) {
                guard mode.isFolder else { return "\(place) isn't a folder" }
                return access(place, W_OK | X_OK) == 0 ? nil : "\(place): \(String(cString: strerror(errno)))"
            }
            guard errno == ENOENT else { return "\(place): \(String(cString: strerror(errno)))" }
            let parent = (place as NSString).deletingLastPathComponent
            // The working directory, or the root, is gone: nothing is above it.
            guard parent != place, place != "." else { return "\(place): there is no such folder" }
            place = parent.isEmpty ? "." : parent
        }
    }
}
