// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
package import GatewayWebSocket
import NIOCore

/// A WebSocket client for tests: sends arbitrary frames and returns what it receives. Only one test may use it at a time.
package final class TestWebSocket {
    /// A received message or control frame.
    package enum Incoming: Sendable, Equatable {
        case text(String)
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        case close(code: UInt16?, reason: String)
    }

    package let socket: TestSocket
    /// The response to the upgrade request.
    package let response: HTTPResponseText
    /// Whether the last received message was compressed.
    package private(set) var wasCompressed = false
    /// Whether the gateway's pings are replied to with pongs. Pings are read in order with messages, so pongs are sent only while the test
    /// awaits a message.
    package var sendsPongs = true
    private var reader: MessageReader
    private var writer: MessageWriter

    /// Sends the request, followed by `bytes` in the same TLS record, and reads the `101` response.
    ///
    /// - Throws: ``TestFailure`` for any other response
    package init(_ socket: TestSocket, _ request: HTTPRequestText = .upgrade(), followedBy bytes: [UInt8] = []) async throws {
        self.socket = socket
        try await socket.send(request.bytes + bytes)
        response = try await socket.receiveResponse()
        guard response.status == 101 else { throw TestFailure("not upgraded: \(response.status) \(response.body)") }
        var agreement: CompressionAgreement?
        if let value = response["sec-websocket-extensions"] {
            agreement = CompressionAgreement(
                serverNoContextTakeover: value.contains("server_no_context_takeover"),
                clientNoContextTakeover: value.contains("client_no_context_takeover"))
        }
        let compression = agreement.map { (agreement: $0, shared: SharedDeflate()) }
        let limits = WebSocketLimits(maxMessageBytes: 128 << 20, maxFragments: 0)
        reader = MessageReader(role: .client, limits: limits, compression: compression)
        writer = MessageWriter(role: .client, compression: compression)
    }

    // MARK: Sending

    package func send(_ frame: TestFrame) async throws { try await socket.send(frame.bytes) }

    package func send(_ text: String) async throws { try await send(TestFrame(TestFrame.text, text: text)) }

    package func send(_ message: JSON) async throws {
        if let text = message["text"].string { LogScan.register(text) }
        try await send(message.text)
    }

    /// Sends several messages in one write.
    package func send(all messages: [JSON]) async throws {
        try await socket.send(messages.flatMap { TestFrame(TestFrame.text, text: $0.text).bytes })
    }

    package func send(binary: [UInt8]) async throws { try await send(TestFrame(TestFrame.binary, binary)) }

    /// Sends a message, compressed if that was negotiated and makes it smaller.
    package func send(compressed bytes: [UInt8], _ kind: MessageKind = .text) async throws {
        var output = ByteBuffer()
        bytes.withRawSpan { writer.write(kind, $0, mayCompress: true, to: &output) }
        try await socket.send(output.readableBytesView)
    }

    // MARK: Receiving

    /// Returns the next message or control frame. With ``sendsPongs``, pings are replied to and skipped.
    package func next(timeout limit: Duration = TestSocket.defaultTimeout) async throws -> Incoming {
        while true {
            let frame = try await socket.receive(timeout: limit) { try Self.frame(in: &$0) }
            let incoming = try read(frame)
            guard sendsPongs, case .ping(let payload) = incoming else { return incoming }
            try await send(TestFrame(TestFrame.pong, payload))
        }
    }

    /// Returns the next message, which must be text, as JSON.
    package func message(timeout limit: Duration = TestSocket.defaultTimeout) async throws -> JSON {
        let message = try JSON(try await text(timeout: limit))
        if let token = message["resume_token"].string { LogScan.register(token) }
        return message
    }

    /// Returns the next message, which must be text, unparsed.
    package func text(timeout limit: Duration = TestSocket.defaultTimeout) async throws -> String {
        switch try await next(timeout: limit) {
        case .text(let text): return text
        case let other: throw TestFailure("not a text message: \(other)")
        }
    }

    package func binary() async throws -> [UInt8] {
        switch try await next() {
        case .binary(let bytes): return bytes
        case let other: throw TestFailure("not a binary message: \(other)")
        }
    }

    /// Returns the next message, which must have this type.
    package func message(_ type: String, timeout limit: Duration = TestSocket.defaultTimeout) async throws -> JSON {
        let message = try await message(timeout: limit)
        guard message["type"].string == type else { throw TestFailure("not \(type): \(message)") }
        return message
    }

    /// Returns the `error` object of the next message, which must be an error with this code.
    package func error(_ code: String, timeout limit: Duration = TestSocket.defaultTimeout) async throws -> JSON {
        let message = try await message("error", timeout: limit)
        let error = message["error"]
        guard error["code"].string == code else { throw TestFailure("not \(code): \(message)") }
        guard let fields = error.object, fields["param"] != nil, error["message"].string?.isEmpty == false,
            error["retryable"].bool != nil, error["fatal"].bool != nil, Self.isULID(error["correlation_id"].string)
        else { throw TestFailure("malformed error message: \(message)") }
        return error
    }

    /// Expects a close frame with this code, replies to it, and expects the end of the connection. Returns the reason.
    @discardableResult
    package func expectClose(_ code: UInt16?, timeout limit: Duration = TestSocket.defaultTimeout) async throws -> String {
        let incoming = try await next(timeout: limit)
        guard case .close(let actual, let reason) = incoming, actual == code else {
            throw TestFailure("expected a close frame \(code.map { "with \($0)" } ?? "without a code"), got \(incoming)")
        }
        guard reason.utf8.count <= 123 else { throw TestFailure("the close reason has \(reason.utf8.count) bytes, more than 123") }
        try? await send(code.map { TestFrame.close($0) } ?? TestFrame(TestFrame.close))
        let rest = try await socket.receive { incoming -> [UInt8]? in
            // Bytes after the close frame are an error, as is a connection that stays open.
            incoming.isEnded || !incoming.rest.isEmpty ? incoming.consume(100) : nil
        }
        guard rest.isEmpty else { throw TestFailure("\(rest.count) bytes after the close frame") }
        return reason
    }

    /// Expects a fatal error and then its close frame, whose reason is the error's code and correlation id. Returns the error.
    @discardableResult
    package func expectFatalError(
        _ errorCode: String, _ closeCode: UInt16, timeout limit: Duration = TestSocket.defaultTimeout
    ) async throws -> JSON {
        let error = try await error(errorCode, timeout: limit)
        guard error["fatal"] == true else { throw TestFailure("the error isn't fatal: \(error)") }
        let reason = try await expectClose(closeCode)
        guard reason == "\(errorCode) \(error["correlation_id"].string ?? "")" else { throw TestFailure("wrong close reason: \(reason)") }
        return error
    }

    // MARK: Liveness

    /// Verifies that the connection is still served: sends a `ping` message and expects its `pong`.
    package func expectServed() async throws {
        let id = "served-\(UInt32.random(in: 0 ... .max))"
        try await send(["type": "ping", "id": .string(id)])
        let pong = try await message("pong")
        guard pong["id"].string == id else { throw TestFailure("expected the pong of \(id), got \(pong)") }
    }

    package static func isULID(_ text: String?) -> Bool {
        guard let text, text.utf8.count == 26 else { return false }
        return text.utf8.allSatisfy { "0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8.contains($0) }
    }

    // MARK: Frames

    /// Consumes one complete frame; nil while it is incomplete.
    private static func frame(in incoming: inout TestSocket.Incoming) throws -> [UInt8]? {
        let bytes = incoming.rest
        guard let counts = try ReceivedFrame.counts(in: bytes), bytes.count >= counts.header + counts.payload else { return nil }
        return incoming.consume(counts.header + counts.payload)
    }

    private func read(_ frame: [UInt8]) throws -> Incoming {
        var buffer = ByteBuffer(bytes: frame)
        guard let received = try ReceivedFrame(from: &buffer) else { throw TestFailure("incomplete frame") }
        let payload = received.payload
        guard received.isFinal else { throw TestFailure("unexpected fragment") }
        wasCompressed = received.isCompressed
        switch received.opcode {
        case TestFrame.text:
            let bytes = wasCompressed ? try inflate(frame) : payload
            guard let text = String(validating: bytes, as: UTF8.self) else { throw TestFailure("the text isn't UTF-8") }
            return .text(text)
        case TestFrame.binary: return .binary(wasCompressed ? try inflate(frame) : payload)
        case TestFrame.ping: return .ping(payload)
        case TestFrame.pong: return .pong(payload)
        case TestFrame.close:
            guard let code = received.closeCode else { return .close(code: nil, reason: "") }
            guard let reason = String(validating: payload[2...], as: UTF8.self) else { throw TestFailure("the close reason isn't UTF-8") }
            return .close(code: code, reason: reason)
        default: throw TestFailure("unexpected opcode \(received.opcode)")
        }
    }

    private func inflate(_ frame: [UInt8]) throws -> [UInt8] {
        var buffer = ByteBuffer(bytes: frame)
        switch try reader.next(in: &buffer) {
        case .text(let payload), .binary(let payload):
            return reader.withPayload(of: payload, in: buffer) { span in
                var bytes: [UInt8] = []
                bytes.append(bytesOf: span)
                return bytes
            }
        case let other: throw TestFailure("not a compressed message: \(String(describing: other))")
        }
    }
}

extension GatewayProcess {
    /// Opens a WebSocket over a new connection, without reading any message.
    package func webSocket(
        _ request: HTTPRequestText = .upgrade(), receiveBuffer: Int? = nil, from address: String? = nil
    ) async throws -> TestWebSocket {
        try await TestWebSocket(try await TestSocket.connect(port: port, receiveBuffer: receiveBuffer, from: address), request)
    }

    /// Opens a WebSocket and consumes its `session` message.
    package func client(
        _ request: HTTPRequestText = .upgrade(), receiveBuffer: Int? = nil, from address: String? = nil
    ) async throws -> TestWebSocket {
        let client = try await webSocket(request, receiveBuffer: receiveBuffer, from: address)
        _ = try await client.message("session")
        return client
    }

    /// Sends one request over a new connection and returns the response.
    package func response(to request: HTTPRequestText) async throws -> HTTPResponseText {
        let socket = try await TestSocket.connect(port: port)
        try await socket.send(request.bytes)
        return try await socket.receiveResponse(toHead: request.method == "HEAD")
    }

    /// Sends one request to the operations listener and returns the response.
    package func operationsResponse(to request: HTTPRequestText) async throws -> HTTPResponseText {
        let socket = try await TestSocket.connect(port: operationsPort, .none)
        try await socket.send(request.bytes)
        return try await socket.receiveResponse(toHead: request.method == "HEAD")
    }

    /// Verifies that a new client is served: it opens a session, gets the response to a text, and closes with `bye`.
    package func expectNextClientServed() async throws {
        let client = try await client()
        try await client.send(["type": "text", "id": "next", "text": "next"])
        var received: [JSON] = []
        while received.count < 2 {
            let message = try await client.message()
            // With a maximum age of one second, goaway may arrive first.
            if message["type"] != "goaway" { received.append(message) }
        }
        guard received[0] == ["type": "ack", "id": "next"] else { throw TestFailure("no ack for the next client: \(received[0])") }
        let response = received[1]
        guard response["type"] == "text", response["text"] == "next", response["done"] == true else {
            throw TestFailure("no response for the next client: \(response)")
        }
        try await client.send(["type": "bye"])
        try await client.expectClose(1000)
    }
}
