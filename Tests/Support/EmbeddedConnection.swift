import GatewayCore
import GatewayServer
import NIOCore
package import NIOEmbedded

/// The client's side of an embedded connection: requests and frames in, frames out.
package final class EmbeddedConnection {
    package let channel: EmbeddedChannel
    private var received = ByteBuffer()

    init(channel: EmbeddedChannel) { self.channel = channel }

    /// A frame of the gateway's.
    package struct Frame: Equatable {
        package var opcode: UInt8
        package var payload: [UInt8]

        package init(opcode: UInt8, payload: [UInt8]) {
            self.opcode = opcode
            self.payload = payload
        }

        package var text: String { String(decoding: payload, as: UTF8.self) }
        /// Of a close frame.
        package var closeCode: UInt16? {
            opcode == 8 && payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : nil
        }
    }

    package static func request(path: String, headers: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(headers)\r\n"
    }

    package func send(_ bytes: some Sequence<UInt8>) throws {
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        channel.embeddedEventLoop.settle()
    }

    package func send(_ string: String) throws { try send(string.utf8) }

    /// Sends the request and takes the answer's head away.
    package func upgrade(path: String = "/v1/ws", headers: String = "") throws {
        try send(Self.request(path: path, headers: headers))
        let head = try responseHead()
        guard head.hasPrefix("HTTP/1.1 101 ") else { throw TestFailure("not upgraded: \(head)") }
    }

    /// Everything up to the empty line; what follows stays.
    package func responseHead() throws -> String {
        try collect()
        let bytes = Array(received.readableBytesView)
        guard let end = bytes.indices.dropLast(3).first(where: { bytes[$0..<$0 + 4].elementsEqual("\r\n\r\n".utf8) }) else {
            throw TestFailure("no whole response head: \(String(decoding: bytes, as: UTF8.self))")
        }
        received.moveReaderIndex(forwardBy: end + 4)
        return String(decoding: bytes[..<end], as: UTF8.self)
    }

    package func send(text: String) throws { try send(frame: 0x81, Array(text.utf8)) }

    package func send(binary: [UInt8]) throws { try send(frame: 0x82, binary) }

    /// A masked frame whose first byte is given.
    package func send(frame first: UInt8, _ payload: [UInt8]) throws { try send(Self.masked(frame: first, payload)) }

    package static func masked(frame first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let key: [UInt8] = [0x11, 0x22, 0x33, 0x44]
        var bytes: [UInt8] = [first]
        switch payload.count {
        case ..<126: bytes.append(0x80 | UInt8(payload.count))
        case ..<65536: bytes += [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default: bytes += [0xFF] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        bytes += key
        for (index, byte) in payload.enumerated() { bytes.append(byte ^ key[index & 3]) }
        return bytes
    }

    /// Whole frames that came since the last call.
    package func frames() throws -> [Frame] {
        try collect()
        var frames: [Frame] = []
        while let frame = nextFrame() { frames.append(frame) }
        return frames
    }

    package var isClosed: Bool { !channel.isActive }

    private func nextFrame() -> Frame? {
        var buffer = received
        guard let first = buffer.readInteger(as: UInt8.self), let second = buffer.readInteger(as: UInt8.self) else { return nil }
        var count = Int(second & 0x7F)
        if count == 126 {
            guard let extended = buffer.readInteger(as: UInt16.self) else { return nil }
            count = Int(extended)
        } else if count == 127 {
            guard let extended = buffer.readInteger(as: UInt64.self) else { return nil }
            count = Int(extended)
        }
        guard let payload = buffer.readBytes(length: count) else { return nil }
        received = buffer
        return Frame(opcode: first & 0x0F, payload: payload)
    }

    private func collect() throws {
        while var out = try channel.readOutbound(as: ByteBuffer.self) { received.writeBuffer(&out) }
    }
}
