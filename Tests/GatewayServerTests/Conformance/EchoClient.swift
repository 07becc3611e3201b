// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOCore
import NIOEmbedded
import Support
import Testing

/// A client of `/echo` on an embedded event loop that validates all received frames (RFC 6455 §5).
final class EchoClient {
    /// The head of the upgrade response.
    let response: String
    private let connection: EmbeddedConnection
    private var received = ByteBuffer()
    private var output = EchoOutput()
    private var inflater: MessageInflater?
    /// Whether each message was compressed.
    private(set) var compressed: [Bool] = []

    /// - Parameter offer: the value of `Sec-WebSocket-Extensions`.
    init(_ harness: LoopHarness, offer: String? = nil) throws {
        connection = try harness.connect()
        try connection.send(
            EmbeddedConnection.request(path: "/echo", headers: offer.map { "Sec-WebSocket-Extensions: \($0)\r\n" } ?? ""))
        response = try connection.responseHead()
        guard response.hasPrefix("HTTP/1.1 101 ") else { throw TestFailure("not upgraded: \(response)") }
        inflater = agreed.map { _ in MessageInflater(windowBits: parameter("server_max_window_bits") ?? 15, keepsContext: keepsContext) }
    }

    /// The accepted extension in the response.
    var agreed: String? {
        response.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-extensions: ") }.map { String($0.dropFirst(26)) }
    }

    /// Returns the value of a negotiated parameter.
    func parameter(_ name: String) -> Int? {
        guard let range = agreed?.firstRange(of: "\(name)=") else { return nil }
        return agreed.flatMap { Int($0[range.upperBound...].prefix { $0.isNumber }) }
    }

    private var keepsContext: Bool { agreed?.contains("server_no_context_takeover") == false }

    /// Sends bytes in pieces until all are sent or the gateway has closed.
    ///
    /// - Returns: the number of sent bytes.
    @discardableResult
    func send(_ bytes: [UInt8], pieces size: Int = .max) throws -> Int {
        var start = 0
        while start < bytes.count, !connection.isClosed {
            let end = size < bytes.count - start ? start + size : bytes.count
            try connection.send(bytes[start..<end])
            start = end
        }
        return start
    }

    /// Returns all output since the last call.
    func replies() throws -> EchoOutput {
        while var out = try connection.channel.readOutbound(as: ByteBuffer.self) { received.writeBuffer(&out) }
        while let frame = try ReceivedFrame(from: &received) { try record(frame.first, frame.payload) }
        guard connection.isClosed == (output.close != nil) else { throw TestFailure("closed: \(connection.isClosed), \(output)") }
        defer { output = EchoOutput() }
        return output
    }

    private func record(_ first: UInt8, _ payload: [UInt8]) throws {
        guard output.close == nil else { throw TestFailure("a frame after the close frame") }
        switch first {
        case 0x81, 0x82, 0xC1, 0xC2:
            compressed.append(first & 0x40 != 0)
            var message = payload
            if first & 0x40 != 0 {
                guard let inflater else { throw TestFailure("compressed without an accepted offer") }
                message = try inflater.inflate(payload)
            }
            output.messages.append(first & 0x0F == 1 ? .text(message) : .binary(message))
        case 0x8A: output.pongs.append(payload)
        case 0x88 where payload.isEmpty: output.close = .empty
        case 0x88 where payload.count >= 2:
            guard String(validating: payload.dropFirst(2), as: UTF8.self) != nil else { throw TestFailure("a reason that isn't UTF-8") }
            output.close = .code(UInt16(payload[0]) << 8 | UInt16(payload[1]))
        default: throw TestFailure("invalid frame: \(first) \(payload)")
        }
    }
}

extension LoopHarness {
    /// Returns a harness with `/echo` enabled.
    static func echoing(_ mode: CompressionMode = .off) -> LoopHarness {
        LoopHarness {
            $0.conformance.echo = true
            $0.websocket.compression = mode
        }
    }
}
