// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The Python interpreter of the virtual environment that `deploy/setup.sh test` creates; it has `websockets`.
package enum Python {
    package static func path() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let path = environment["PARLEY_PYTHON"] ?? environment["PARLEY_TEST_PYTHON"] ?? Repository.path + "/.build/venv/bin/python"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw TestFailure("\(path) doesn't exist: run deploy/test.sh or deploy/setup.sh test, which create it")
        }
        return path
    }
}
