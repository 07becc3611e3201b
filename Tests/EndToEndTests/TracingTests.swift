// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// Traces of the real executable, received by a server that parses them with OpenTelemetry's protocol.
@Suite(.bounded) struct TracingTests {
    /// A running `otlp_receiver.py`.
    private final class Receiver: Sendable {
        let process: ChildProcess
        let port: Int
        private let directory: TemporaryDirectory

        init(_ arguments: [String] = []) async throws {
            directory = try TemporaryDirectory()
            process = try ChildProcess(
                Repository.path + "/.build/otlp/bin/python", ["-B", Repository.path + "/Tests/Tracing/otlp_receiver.py"] + arguments,
                directory: directory.path)
            guard let port = try await Self.line(of: process, where: { $0["ready"] == true })["port"].integer else {
                throw TestFailure("no port")
            }
            self.port = port
        }

        /// Returns the first matching line; fails if the receiver has rejected a request.
        func line(where matches: (JSON) -> Bool) async throws -> JSON { try await Self.line(of: process, where: matches) }

        func span(_ name: String, where matches: (JSON) -> Bool = { _ in true }) async throws -> JSON {
            try await line { $0["name"].string == name && matches($0) }
        }

        private static func line(of process: ChildProcess, where matches: (JSON) -> Bool) async throws -> JSON {
            var seen = 0
            let found: JSON? = try await process.output.wait(timeout: .seconds(20)) { output in
                while seen < output.lines.count {
                    seen += 1
                    let line = try JSON(output.lines[seen - 1])
                    if let reason = line["rejected"].string { throw TestFailure("rejected: \(reason)") }
                    if matches(line) { return line }
                }
                return nil
            }
            guard let found else { throw TestFailure("no matching line: \(process.lines.suffix(8)) \(process.errorLines)") }
            return found
        }

        var spans: [JSON] { get throws { try process.lines.map { try JSON($0) }.filter { $0["name"] != .null } } }
    }

    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    private func start(_ receiver: Receiver, sample: String, _ more: [String: String] = [:]) async throws -> GatewayProcess {
        let flags = [
            "tracing.otlp_url": "http://127.0.0.1:\(receiver.port)", "tracing.sample": sample,
            "upstreams.chat.kind": "http", "upstreams.chat.urls": "http://127.0.0.1:\(receiver.port)/answer",
            "upstreams.broken.kind": "http", "upstreams.broken.urls": "http://127.0.0.1:\(receiver.port)/fail",
            "upstreams.broken.retries": "0", "routes.broken.upstreams": "broken", "routes.broken.meta": "to=broken",
            "upstreams.slow.kind": "http", "upstreams.slow.urls": "http://127.0.0.1:\(receiver.port)/slow",
            "routes.slow.upstreams": "slow", "routes.slow.meta": "to=slow", "routes.chat.upstreams": "chat",
        ]
        return try await GatewayProcess(flags.merging(more) { $1 })
    }

    private func ask(_ client: TestWebSocket, id: String, meta: [String: JSON] = [:]) async throws {
        try await client.send(["type": "text", "id": .string(id), "text": "secret words", "meta": .object(meta)])
        while try await client.message()["done"] != true {}
    }

    @Test func `a message has spans of its stage and attempt, and the upstream continues the trace`() async throws {
        let receiver = try await Receiver()
        let gateway = try await start(receiver, sample: "0")
        let client = try await gateway.client()
        try await ask(client, id: "a", meta: ["traceparent": .string("00-\(Self.trace)-00f067aa0ba902b7-01")])
        let message = try await receiver.span("message")
        let stage = try await receiver.span("stage")
        let attempt = try await receiver.span("attempt")
        for span in [message, stage, attempt] { #expect(span["trace"].string == Self.trace) }
        #expect(message["parent"] == "00f067aa0ba902b7" && message["kind"] == 2 && message["failed"] == false)
        #expect(stage["parent"] == message["span"] && stage["kind"] == 1 && attempt["parent"] == stage["span"] && attempt["kind"] == 3)
        #expect(message["attributes"]["parley.route"] == "chat" && message["attributes"]["parley.message_id"] == "a")
        #expect(attempt["attributes"]["parley.upstream"] == "chat" && attempt["attributes"]["parley.attempt"] == 1)
        #expect(message["service"]["service.name"] == "parley")
        let sent = try await receiver.line { $0["traceparent"] != .null }
        #expect(sent["traceparent"].string == "00-\(Self.trace)-\(attempt["span"].string ?? "")-01")
        #expect(!receiver.process.lines.contains { $0.contains("secret words") })
        try await gateway.stop()
    }

    @Test func `a traceparent of the upgrade makes connection and messages part of the client's trace`() async throws {
        let receiver = try await Receiver()
        let gateway = try await start(receiver, sample: "0")
        let client = try await gateway.client(.upgrade(adding: [("traceparent", "00-\(Self.trace)-00f067aa0ba902b7-01")]))
        try await ask(client, id: "a")
        let message = try await receiver.span("message")
        try await client.send(["type": "bye"])
        let connection = try await receiver.span("connection")
        #expect(connection["trace"].string == Self.trace && connection["parent"] == "00f067aa0ba902b7")
        #expect(message["trace"].string == Self.trace && message["parent"] == connection["span"])
        #expect(connection["attributes"]["parley.close_code"] == 1000)
        try await gateway.stop()
    }

    @Test func `without a client's trace each message is a trace that is linked to its connection`() async throws {
        let receiver = try await Receiver()
        let gateway = try await start(receiver, sample: "1")
        let client = try await gateway.client(.upgrade(adding: [("traceparent", "00-\(Self.trace)-0000000000000000-01")]))
        try await ask(client, id: "a")
        try await ask(client, id: "b")
        let first = try await receiver.span("message") { $0["attributes"]["parley.message_id"] == "a" }
        let second = try await receiver.span("message") { $0["attributes"]["parley.message_id"] == "b" }
        try await client.send(["type": "bye"])
        let connection = try await receiver.span("connection")
        #expect(first["trace"] != second["trace"] && first["trace"].string != Self.trace && first["parent"] == "")
        let link = JSON.string("\(connection["trace"].string ?? "")-\(connection["span"].string ?? "")")
        #expect(first["links"][0] == link && second["links"][0] == link)
        try await gateway.stop()
    }

    @Test func `only failed messages are kept with tracing.sample 0, with the correlation id of the error`() async throws {
        let receiver = try await Receiver()
        let gateway = try await start(receiver, sample: "0", ["tracing.keep_slower_than": "0"])
        let client = try await gateway.client()
        try await ask(client, id: "good")
        try await client.send(["type": "text", "id": "bad", "text": "x", "meta": ["to": "broken"]])
        var error = JSON.null
        while error == .null { error = try await client.message()["error"] }
        let message = try await receiver.span("message")
        #expect(message["attributes"]["parley.message_id"] == "bad" && message["failed"] == true)
        #expect(message["attributes"]["parley.correlation_id"] == error["correlation_id"] && message["message"] == error["code"])
        let attempt = try await receiver.span("attempt")
        #expect(attempt["failed"] == true && attempt["attributes"]["error.type"] == error["code"])
        _ = try await receiver.span("stage")
        #expect(try receiver.spans.count == 3)
        try await gateway.stop()
    }

    @Test func `a message that is slower than tracing.keep_slower_than is kept`() async throws {
        let receiver = try await Receiver()
        let flags = ["tracing.keep_slower_than": "1s", "tracing.keep_failed": "false"]
        let gateway = try await start(receiver, sample: "0", flags)
        let client = try await gateway.client()
        try await ask(client, id: "fast")
        try await ask(client, id: "slow", meta: ["to": "slow"])
        let message = try await receiver.span("message")
        #expect(message["attributes"]["parley.message_id"] == "slow" && message["failed"] == false)
        try await gateway.stop()
    }

    @Test func `spans are sent again after the receiver was unavailable, and when the gateway stops`() async throws {
        let receiver = try await Receiver(["--unavailable", "2"])
        let gateway = try await start(receiver, sample: "1")
        let client = try await gateway.client()
        try await ask(client, id: "a")
        _ = try await receiver.span("message")
        _ = try await gateway.line("spans can't be exported")
        _ = try await gateway.line("spans exported again")
        try await ask(client, id: "b")
        gateway.signal(SIGTERM)
        #expect(try await gateway.exit() == 0)
        _ = try await receiver.span("message") { $0["attributes"]["parley.message_id"] == "b" }
    }

    /// Scrapes until this many spans are exported, since the receiver prints a span before its response arrives.
    private func metrics(_ gateway: GatewayProcess, exported: Int) async throws -> String {
        for _ in 0..<400 {
            let metrics = try await gateway.operationsResponse(to: HTTPRequestText("/metrics")).body
            if metrics.contains("\nparley_tracing_spans_exported_total \(exported)\n") { return metrics }
            try await Task.sleep(for: .milliseconds(25))
        }
        throw TestFailure("no \(exported) spans are exported")
    }

    @Test(arguments: [(2, 0, 1, 3), (3, 3, 4, 0)])
    func `the three spans of a message are exported and counted if they fit the queue, else dropped and counted`(
        capacity: Int, first: Int, exported: Int, dropped: Int
    ) async throws {
        let receiver = try await Receiver()
        let gateway = try await start(receiver, sample: "1", ["tracing.queue": "\(capacity)"])
        let client = try await gateway.client()
        try await ask(client, id: "a")
        // Spans that are being exported count toward the capacity.
        _ = try await metrics(gateway, exported: first)
        try await client.send(["type": "bye"])
        let text = try await metrics(gateway, exported: exported)
        #expect(text.contains("\nparley_tracing_spans_dropped_total \(dropped)\n"))
        try await gateway.stop()
    }

    @Test func `the loopback has traces, too`() async throws {
        let receiver = try await Receiver()
        let gateway = try await GatewayProcess([
            "tracing.otlp_url": "http://127.0.0.1:\(receiver.port)/v1/traces", "tracing.sample": "1",
        ])
        let client = try await gateway.client()
        try await ask(client, id: "a")
        #expect(try await receiver.span("message")["attributes"]["parley.message_id"] == "a")
        try await gateway.stop()
    }
}
