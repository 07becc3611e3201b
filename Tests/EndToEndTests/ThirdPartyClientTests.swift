// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Third-party clients: the Python library `websockets`, and a browser.
@Suite(.bounded) struct ThirdPartyClientTests {
    private static let clients = (#filePath as NSString).deletingLastPathComponent + "/Clients"

    @Test(arguments: ["deflate", "plain"], ["shared", "dedicated"])
    func `Python websockets completes a conversation`(mode: String, compression: String) async throws {
        let gateway = try await SharedGateways.withoutLimits(["websocket.compression": compression])
        let result = try await ChildProcess.run(
            try Python.path(), [Self.clients + "/python_client.py", "wss://127.0.0.1:\(gateway.port)/v1/ws", mode],
            directory: gateway.directory.path, timeout: .seconds(60))
        #expect(result.status == 0, "\(result.lines + result.errorLines)")
        #expect(result.lines == ["PASS"])
    }

    @Test func `a page in Chromium completes a conversation`() async throws {
        let gateway = try await SharedGateways.withoutLimits()
        let directory = try TemporaryDirectory()
        let lines = try await Chromium.document(of: "file://\(Self.clients)/browser.html?port=\(gateway.port)", directory: directory)
        #expect(lines.contains { $0.contains("<p id=\"result\">PASS</p>") }, "\(lines.prefix(20))")
    }
}
