// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A fingerprint of files by inode, size and modification time, to detect changes without reading them. A file that appears, disappears or
/// is replaced under its name, as Kubernetes does with mounted secrets, counts as changed, and so does a file that becomes readable or
/// unreadable.
package struct ConfigurationFingerprint: Sendable, Equatable {
    private struct Mark: Sendable, Equatable {
        var device: Int
        var inode: Int
        var size: Int
        var modified: Date
        /// Permissions don't describe the contents, but a change of them may make the file readable.
        var permissions: Int
        var owner: Int
        var isReadable: Bool
    }

    private var marks: [String: Mark?] = [:]

    /// Takes the fingerprint of the files now. Symbolic links are followed, missing files are recorded as missing.
    package init(of paths: [String]) {
        for path in paths {
            marks[path] = .some(Self.mark(path))
        }
    }

    private static func mark(_ path: String) -> Mark? {
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: target) else { return nil }
        return Mark(
            device: attributes[.systemNumber] as? Int ?? 0, inode: attributes[.systemFileNumber] as? Int ?? 0,
            size: attributes[.size] as? Int ?? 0, modified: attributes[.modificationDate] as? Date ?? .distantPast,
            permissions: attributes[.posixPermissions] as? Int ?? 0, owner: attributes[.ownerAccountID] as? Int ?? 0,
            isReadable: FileManager.default.isReadableFile(atPath: target))
    }

    /// Adds files whose paths became known later.
    mutating func add(_ paths: [String]) {
        marks.merge(ConfigurationFingerprint(of: paths).marks) { earlier, _ in earlier }
    }
}
