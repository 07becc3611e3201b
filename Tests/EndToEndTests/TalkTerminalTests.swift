// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// `parley talk` on a terminal.
@Suite(.bounded) struct TalkTerminalTests {
    private static let driver = (#filePath as NSString).deletingLastPathComponent + "/Clients/terminal.py"

    @Test(arguments: ["editing", "history", "long", "keys", "ended", "suspended"])
    func `lines are edited on a terminal`(scene: String) async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let directory = try TemporaryDirectory()
        let result = try await ChildProcess.run(
            try Python.path(), [Self.driver, try GatewayProcess.executable(), "wss://localhost:\(gateway.port)", scene, directory.path],
            directory: directory.path, environment: ["LANG": "C.UTF-8"], timeout: .seconds(90))
        #expect(result.status == 0 && result.lines.last == "PASS", "\(result.lines + result.errorLines)")
    }
}
