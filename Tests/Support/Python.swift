import Foundation

/// The interpreter that has `websockets`: `deploy/setup.sh test` makes its environment.
package enum Python {
    /// The top of the repository.
    package static let repository = (0..<3).reduce(#filePath) { path, _ in (path as NSString).deletingLastPathComponent }

    package static func path() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let path = environment["PARLEY_PYTHON"] ?? environment["PARLEY_TEST_PYTHON"] ?? repository + "/.build/venv/bin/python"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw TestFailure("there is no \(path): run deploy/test.sh, which makes it, or deploy/setup.sh test")
        }
        return path
    }
}
