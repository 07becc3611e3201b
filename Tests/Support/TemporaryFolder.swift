import Foundation

/// A folder that goes away with this object, or with the process: what lasts as long as that is never let go of.
package final class TemporaryFolder: Sendable {
    /// Where all folders of this process are.
    private static let parent: String = {
        atexit { try? FileManager.default.removeItem(atPath: TemporaryFolder.parent) }
        return NSTemporaryDirectory() + "parley-tests-" + UUID().uuidString
    }()

    /// Absolute, without a slash at the end.
    package let path: String

    package init() throws {
        path = Self.parent + "/" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file, folders on its way included, in one step. Returns its path.
    @discardableResult
    package func write(_ text: String, to file: String) throws -> String {
        let target = path + "/" + file
        let folder = (target as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text.write(toFile: target, atomically: true, encoding: .utf8)
        return target
    }

    package func read(_ file: String) throws -> String { try String(contentsOfFile: path + "/" + file, encoding: .utf8) }
}
