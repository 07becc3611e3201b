// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOCore
package import NIOEmbedded

/// The client's side of an embedded connection: sends requests and frames, and parses the frames that the gateway writes.
package final class EmbeddedConnection {
    package let channel: EmbeddedChannel
    private var received = ByteBuffer()

    init(channel: EmbeddedChannel) { self.channel = channel }

    package typealias Frame = ReceivedFrame

    package static func request(path: String, headers: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(headers)\r\n"
    }

    package func send(_ bytes: some Sequence<UInt8>) throws {
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        channel.embeddedEventLoop.runPendingTasks()
    }

    package func send(_ string: String) throws { try send(string.utf8) }

    /// Sends the upgrade request and consumes the `101` response's head.
    package func upgrade(path: String = "/v1/ws", headers: String = "") throws {
        try send(Self.request(path: path, headers: headers))
        let head = try responseHead()
        guard head.hasPrefix("HTTP/1.1 101 ") else { throw TestFailure("not upgraded: \(head)") }
    }

    /// Consumes and returns the response's head, up to the empty line.
    package func responseHead() throws -> String {
        try collect()
        let bytes = Array(received.readableBytesView)
        guard let end = bytes.indices.dropLast(3).first(where: { bytes[$0..<$0 + 4].elementsEqual("\r\n\r\n".utf8) }) else {
            throw TestFailure("incomplete response head: \(String(decoding: bytes, as: UTF8.self))")
        }
        received.moveReaderIndex(forwardBy: end + 4)
        return String(decoding: bytes[..<end], as: UTF8.self)
    }

    package func send(text: String) throws { try send(frame: 0x81, Array(text.utf8)) }

    package func send(binary: [UInt8]) throws { try send(frame: 0x82, binary) }

    /// Sends a masked frame with the given first byte (FIN, reserved bits, opcode).
    package func send(frame first: UInt8, _ payload: [UInt8]) throws { try send(Self.masked(frame: first, payload)) }

    package static func masked(frame first: UInt8, _ payload: [UInt8]) -> [UInt8] { TestFrame(first: first, payload).bytes }

    /// Returns the complete frames that arrived since the last call.
    package func frames() throws -> [Frame] {
        try collect()
        var frames: [Frame] = []
        while let frame = try Frame(from: &received) { frames.append(frame) }
        return frames
    }

    package var isClosed: Bool { !channel.isActive }

    private func collect() throws {
        while var out = try channel.readOutbound(as: ByteBuffer.self) { received.writeBuffer(&out) }
    }
}
