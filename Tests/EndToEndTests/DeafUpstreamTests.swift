// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// A WebSocket upstream that reads nothing, behind the real gateway.
@Suite(.bounded) struct DeafUpstreamTests {
    private static func deaf(_ arguments: String...) async throws -> (process: ChildProcess, port: Int, directory: TemporaryDirectory) {
        let directory = try TemporaryDirectory()
        let process = try ChildProcess(
            try Python.path(), ["-B", Repository.path + "/Tests/Upstreams/deaf.py"] + arguments, directory: directory.path)
        let line: String? = await process.output.wait(timeout: .seconds(20)) { $0.lines.first }
        let port = try #require(try line.flatMap { try JSON($0)["port"].integer })
        return (process, port, directory)
    }

    private static func gateway(_ port: Int, _ more: [String: String] = [:]) async throws -> GatewayProcess {
        try await GatewayProcess(
            SharedGateways.withoutLimits.merging(
                [
                    "upstreams.a.kind": "websocket", "upstreams.a.urls": "ws://127.0.0.1:\(port)", "routes.a.upstreams": "a",
                    "upstreams.a.retries": "0", "upstreams.a.max_connections": "1000", "listen.loops": "1",
                ]
            ) { $1 }.merging(more) { $1 })
    }

    private static func queued(_ client: TestWebSocket) async throws -> Int {
        try await client.send(["type": "status", "id": "s"])
        while true {
            let message = try await client.message()
            if let queued = message["memory"]["upstream_queue"].integer { return queued }
        }
    }

    @Test func `texts that the upstream doesn't read count toward the session's memory; cancelled ones are removed`() async throws {
        let deaf = try await Self.deaf()
        let gateway = try await Self.gateway(deaf.port, ["upstreams.a.between_bytes_timeout": "5s"])
        let client = try await gateway.client()
        let text = String(repeating: "x", count: 60_000)
        try await client.send(["type": "text", "id": "m0", "text": "hello"])
        // The upstream connection has to be open first.
        while try await Self.queued(client) > 0 {}
        var number = 0
        var queued = 0
        // Sends texts until the socket's send buffer is full.
        while queued == 0, number < 1000 {
            number += 1
            try await client.send(["type": "text", "id": .string("m\(number)"), "text": .string(text)])
            queued = try await Self.queued(client)
            if queued == 0 { try await client.send(["type": "cancel", "id": .string("m\(number)")]) }
        }
        #expect(queued == 60_000)
        // Further texts that are cancelled leave nothing in the queue.
        for more in 0..<20 {
            try await client.send(["type": "text", "id": .string("c\(more)"), "text": .string(text)])
            try await client.send(["type": "cancel", "id": .string("c\(more)")])
        }
        #expect(try await Self.queued(client) == 60_000)
        // The gateway closes the connection at the timeout. The request was never sent, so its error is retryable.
        let response = try await client.collectResponse(to: "m\(number)")
        #expect(response.error["code"] == "upstream_unavailable" && response.error["retryable"] == true, "\(response.last)")
        #expect(try await Self.queued(client) == 0)
        try await gateway.stop()
    }

    @Test(arguments: ["--ping", "--fragments"])
    func `endless pings or fragments don't keep a request alive`(kind: String) async throws {
        let deaf = try await Self.deaf(kind)
        let gateway = try await Self.gateway(
            deaf.port, ["upstreams.a.first_byte_timeout": "3s", "upstreams.a.between_bytes_timeout": "1s"])
        let client = try await gateway.client()
        let response = try await client.ask("hello", of: "", id: "m1")
        #expect(response.error["code"] == "upstream_timeout", "\(response.last)")
        // The upstream keeps sending, and the gateway still serves the client.
        #expect(try await Self.queued(client) == 0)
        try await gateway.stop()
    }
}
