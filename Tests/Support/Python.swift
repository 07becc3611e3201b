// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The Python interpreter of the virtual environment that `deploy/setup.sh test` creates; it has `websockets`.
package enum Python {
    /// The root directory of the repository.
    package static let repository = (0..<3).reduce(#filePath) { path, _ in (path as NSString).deletingLastPathComponent }

    package static func path() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let path = environment["PARLEY_PYTHON"] ?? environment["PARLEY_TEST_PYTHON"] ?? repository + "/.build/venv/bin/python"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw TestFailure("\(path) doesn't exist: run deploy/test.sh or deploy/setup.sh test, which create it")
        }
        return path
    }
}
