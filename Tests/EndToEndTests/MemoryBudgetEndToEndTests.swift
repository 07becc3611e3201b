// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The memory of the whole process under `sessions.total_memory_budget`.
@Suite(.bounded) struct MemoryBudgetEndToEndTests {
    /// Returns a field of `/proc/<pid>/status` in bytes.
    private func statusField(of gateway: GatewayProcess, _ field: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(gateway.process.identifier)/status", encoding: .utf8)
        for line in status.split(separator: "\n") where line.hasPrefix("\(field):") {
            if let count = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }) { return count * 1024 }
        }
        throw TestFailure("no \(field) in \(status)")
    }

    /// Returns the overhead beyond the budget, as stated on the page Operating.
    private func allowance(budget: Int, sockets: Int) -> Int { budget / 4 + (48 << 20) + sockets * 256 * 1024 }

    @Test func `attached and detached sessions with unacknowledged responses stay within the budget and its overhead`() async throws {
        let budget = 16_000_000
        let gateway = try await GatewayProcess(
            SharedGateways.withoutLimits.merging([
                "sessions.total_memory_budget": "\(budget / 1_000_000)MB", "sessions.outbox_bytes": "2MB", "sessions.max_detached": "0",
            ]) { $1 })
        try await gateway.expectNextClientServed()
        let before = try statusField(of: gateway, "VmHWM")
        let text = JSON.string(String(repeating: "x", count: 98_000))
        // Without the budget each session would hold 3 MB including its history: 90 MB in all.
        let clients = 30
        var held: [TestWebSocket] = []
        var rejected = 0
        for number in 0..<clients {
            guard let client = try? await gateway.client() else {
                rejected += 1
                continue
            }
            for id in 0..<20 {
                // A session may be closed because of its memory usage.
                guard (try? await client.send(["type": "text", "id": .string("m\(id)"), "text": text])) != nil else { break }
                guard let response = try? await client.message() else { break }
                if response["type"] == "error" { break }
                guard (try? await client.message()) != nil else { break }
            }
            if number < 2 { held.append(client) } else { await client.socket.close() }
        }
        let peak = try statusField(of: gateway, "VmHWM")
        let limit = before + budget + allowance(budget: budget, sockets: clients)
        #expect(peak < limit, "\(peak / 1_000_000) MB of \(limit / 1_000_000) MB; \(rejected) rejected")
        #expect(peak - before > budget / 2, "the budget is used")
        // For a client of another address, a session of the address that filled the budget is evicted.
        try await gateway.client(from: "127.0.0.2").expectServed()
        withExtendedLifetime(held) {}
        try await gateway.stop()
    }

    @Test func `incomplete messages stay within the budget and its overhead`() async throws {
        let budget = 16_000_000
        let gateway = try await GatewayProcess(
            SharedGateways.withoutLimits.merging([
                "sessions.total_memory_budget": "\(budget / 1_000_000)MB", "websocket.max_message_bytes": "4MB",
                "sessions.memory_budget": "8MB",
            ]) { $1 })
        try await gateway.expectNextClientServed()
        let before = try statusField(of: gateway, "VmHWM")
        let frame = TestFrame(TestFrame.text, [UInt8](repeating: 0x20, count: 3_900_000)).with { $0.isFinal = false }
        var held: [TestWebSocket] = []
        for _ in 0..<24 { held.append(try await gateway.client()) }
        // Some clients are closed while others send.
        for client in held { try? await client.send(frame) }
        _ = try await gateway.line(timeout: .seconds(20)) { $0["msg"] == "error sent" && $0["code"] == "memory_limit" }
        let peak = try statusField(of: gateway, "VmHWM")
        let limit = before + budget + allowance(budget: budget, sockets: 24)
        #expect(peak < limit, "\(peak / 1_000_000) MB of \(limit / 1_000_000) MB")
        held = []
        try await gateway.eventuallyServes()
        try await gateway.stop()
    }
}
