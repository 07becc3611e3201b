// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A temporary directory, removed with this object or when the process exits (static objects are never deinitialized).
package final class TemporaryDirectory: Sendable {
    /// The directory that contains all temporary directories of this process.
    private static let parent: String = {
        atexit { try? FileManager.default.removeItem(atPath: TemporaryDirectory.parent) }
        return NSTemporaryDirectory() + "parley-tests-" + UUID().uuidString
    }()

    /// The absolute path, without a trailing slash.
    package let path: String

    package init() throws {
        path = Self.parent + "/" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file atomically, creates missing directories, and returns the file's path.
    @discardableResult
    package func write(_ text: String, to file: String) throws -> String {
        let target = path + "/" + file
        let directory = (target as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try text.write(toFile: target, atomically: true, encoding: .utf8)
        return target
    }

    package func read(_ file: String) throws -> String { try String(contentsOfFile: path + "/" + file, encoding: .utf8) }
}
