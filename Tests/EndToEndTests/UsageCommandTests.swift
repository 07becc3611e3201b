// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// `parley usage` against a gateway without users.
@Suite(.bounded) struct UsageCommandTests {
    private func usage(_ gateway: GatewayProcess, _ arguments: String...) async throws -> (
        status: ChildProcess.ExitStatus, lines: [String], errorLines: [String]
    ) {
        try await GatewayProcess.run(
            ["usage", "--address", "127.0.0.1:\(gateway.operationsPort)"] + arguments, directory: gateway.directory)
    }

    @Test func `without usage the table has one row of zeros, CSV and JSON likewise`() async throws {
        let gateway = try await GatewayProcess()
        let client = try await gateway.client()
        try await client.send(["type": "text", "id": "a", "text": "hello"])
        _ = try await client.text()
        let table = try await usage(gateway)
        #expect(table.status == 0)
        #expect(
            table.lines.map { $0.split(separator: " ").joined(separator: " ") } == [
                "MESSAGES AUDIO IN AUDIO OUT TOKENS IN TOKENS OUT COST", "0 0.0 s 0.0 s 0 0 0",
            ])
        let groups = try await usage(gateway, "--group", "user,day", "--from", "2026-01-01")
        #expect(groups.lines.count == 1 && groups.lines.first?.hasPrefix("USER") == true)
        let json = try await usage(gateway, "--format", "json", "--user", "a b&c")
        #expect(try JSON(json.lines.joined())["messages"] == 0)
        let csv = try await usage(gateway, "--format", "csv", "--from", "2026-01-01", "--to", "2026-02-01")
        #expect(
            csv.lines == [
                "from,to,messages,audio_seconds_in,audio_seconds_out,input_tokens,output_tokens,cost\r",
                "1767225600000,1769904000000,0,0,0,0,0,0\r",
            ]
                || csv.lines.map { $0.replacing("\r", with: "") } == [
                    "from,to,messages,audio_seconds_in,audio_seconds_out,input_tokens,output_tokens,cost",
                    "1767225600000,1769904000000,0,0,0,0,0,0",
                ])
        try await gateway.stop()
    }

    @Test func `wrong usage exits with 64, a rejected request with 1, an unreachable gateway with 69`() async throws {
        let gateway = try await GatewayProcess()
        #expect(try await usage(gateway, "--group", "week").status == 64)
        let rejected = try await usage(gateway, "--from", "yesterday")
        #expect(rejected.status == 1 && rejected.errorLines.joined().contains("from must be"))
        try await gateway.stop()
        #expect(try await usage(gateway).status == 69)
    }
}
