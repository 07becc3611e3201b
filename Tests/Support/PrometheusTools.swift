// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The programs of Debian's package `prometheus`, which `deploy/setup.sh test` unpacks if they aren't installed.
package enum PrometheusTools {
    /// Returns the path of `promtool` or `prometheus`.
    package static func path(_ program: String) throws -> String {
        let search = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        let directories = [Repository.path + "/.build/prometheus/usr/bin"] + search.split(separator: ":").map(String.init)
        for directory in directories where FileManager.default.isExecutableFile(atPath: "\(directory)/\(program)") {
            return "\(directory)/\(program)"
        }
        throw TestFailure("\(program) not found: run deploy/test.sh or deploy/setup.sh test, which unpack it")
    }
}
