// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The demonstration of the dashboard, with Prometheus and a gateway under a little load.
@Suite("The demonstration of the dashboard", .bounded) struct MonitoringDemoTests {
    @Test func `every panel has data, and no rule fails`() async throws {
        let directory = try TemporaryDirectory()
        let environment = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": directory.path, "TMPDIR": directory.path,
            "PARLEY_EXECUTABLE": try GatewayProcess.executable(),
        ]
        let result = try await ChildProcess.run(
            "/bin/bash", [Repository.path + "/deploy/monitoring/demo.sh"], directory: Repository.path, environment: environment,
            timeout: .seconds(90))
        #expect(result.status == 0, "\((result.lines + result.errorLines).joined(separator: "\n"))")
        #expect(result.lines.last?.hasSuffix(" expressions, 0 empty; 0 rules fail") == true, "\(result.lines)")
    }
}
