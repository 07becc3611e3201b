// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Process upstreams that print banners, exit after a response, or leave child processes behind.
@Suite(.bounded) struct ProcessUpstreamTests {
    private func gateway(_ arguments: String..., more: [String: String] = [:]) async throws -> GatewayProcess {
        let command = [try Python.path(), "-B", "\(Repository.path)/Tests/Upstreams/small_process.py"] + arguments
        return try await GatewayProcess(
            [
                "upstreams.a.kind": "process", "routes.a.upstreams": "a", "upstreams.a.command": command.joined(separator: ","),
                "upstreams.a.retries": "0", "upstreams.a.connect_timeout": "10s",
            ].merging(more) { $1 })
    }

    @Test func `a banner fails the request, and the log contains the line`() async throws {
        let gateway = try await gateway("--banner")
        let client = try await gateway.client()
        let response = try await client.ask("hello", of: "", id: "m1")
        #expect(response.error["code"] == "upstream_error", "\(response.last)")
        let details = try await gateway.line("upstream failed")["details"].string ?? ""
        #expect(details.hasSuffix(#": "Loading model \"tiny\"…\u{1B}[32m done\u{1B}[0m""#), "\(details)")
        try await gateway.stop()
    }

    @Test func `with ignore_banner a banner is skipped`() async throws {
        let gateway = try await gateway("--banner", more: ["upstreams.a.ignore_banner": "true", "upstreams.a.max_requests": "2"])
        let client = try await gateway.client()
        for number in 0..<5 { #expect(try await client.ask("hello", of: "", id: "m\(number)").text == "HELLO") }
        try await gateway.stop()
    }

    @Test func `a program that exits after each response is restarted for each request`() async throws {
        let gateway = try await gateway("--once", more: ["upstreams.a.breaker_failures": "1", "limits.text_per_minute": "0"])
        let client = try await gateway.client()
        for number in 0..<25 {
            let response = try await client.ask("hello", of: "", id: "m\(number)")
            #expect(response.text == "HELLO", "\(response.last)")
        }
        try await gateway.stop()
    }

    @Test func `a program that prints after a response is replaced, and the log contains the output`() async throws {
        let gateway = try await gateway("--late-banner", more: ["limits.text_per_minute": "0"])
        let client = try await gateway.client()
        #expect(try await client.ask("hello", of: "", id: "m1").text == "HELLO")
        #expect(try await gateway.line("process killed")["details"] == #"unsolicited output: "served 1 request""#)
        #expect(try await client.ask("hello", of: "", id: "m2").text == "HELLO")
        try await gateway.stop()
    }

    @Test func `the exit of a program is detected even if a child holds its output open`() async throws {
        let gateway = try await gateway(more: ["upstreams.a.first_byte_timeout": "1m", "upstreams.a.total_timeout": "0"])
        let client = try await gateway.client()
        #expect(try await client.ask("hello", of: "", id: "m0").text == "HELLO")
        let response = try await client.ask("leave", of: "", id: "m1")
        #expect(response.error["code"] == "upstream_error", "\(response.last)")
        for number in 0..<3 {
            #expect(try await client.ask("leave-behind", of: "", id: "n\(number)").text == "LEAVE-BEHIND")
        }
        #expect(try await client.ask("hello", of: "", id: "m2").text == "HELLO")
        try await gateway.stop()
    }

    @Test func `invalid responses to one client don't affect another client`() async throws {
        let gateway = try await GatewayProcess([
            "upstreams.a.kind": "process", "routes.a.upstreams": "a", "upstreams.a.retries": "0", "limits.text_per_minute": "0",
            "upstreams.a.connect_timeout": "10s", "limits.refusals_per_minute": "0",
            "upstreams.a.command": "\(try Python.path()),-B,\(Repository.path)/Tests/Upstreams/quick_process.py",
        ])
        let client = try await gateway.client()
        for (number, fault) in ["rubbish-json", "rubbish-field", "other", "anonymous", "rubbish", "rubbish-json", "huge 3000000"]
            .enumerated()
        {
            #expect(try await client.ask(fault, of: "", id: "m\(number)").error["code"] == "upstream_error")
        }
        let other = try await gateway.client()
        #expect(try await other.ask("hello", of: "", id: "m").text == "HELLO")
        try await gateway.stop()
    }
}
