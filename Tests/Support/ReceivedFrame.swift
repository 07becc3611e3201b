// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A frame from the gateway, parsed strictly (RFC 6455 §5.2): it must be unmasked, with its length in the shortest form.
package struct ReceivedFrame: Equatable {
    /// The first byte: FIN, the reserved bits and the opcode.
    package var first: UInt8
    package var payload: [UInt8]

    /// Creates an uncompressed message in one frame, or a control frame.
    package init(opcode: UInt8, payload: [UInt8]) { self.init(first: 0x80 | opcode, payload: payload) }

    private init(first: UInt8, payload: [UInt8]) {
        self.first = first
        self.payload = payload
    }

    package var opcode: UInt8 { first & 0x0F }
    package var isFinal: Bool { first & 0x80 != 0 }
    package var isCompressed: Bool { first & 0x40 != 0 }
    package var text: String { String(decoding: payload, as: UTF8.self) }

    /// The code of a close frame; nil for any other frame, and for a close frame without one.
    package var closeCode: UInt16? { opcode == TestFrame.close && payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : nil }

    /// Parses the frame at the beginning of a buffer. Returns nil and consumes nothing if the frame is incomplete.
    package init?(from buffer: inout ByteBuffer) throws {
        guard let counts = try Self.counts(in: buffer.readableBytesView), buffer.readableBytes >= counts.header + counts.payload,
            let header = buffer.readBytes(length: counts.header), let payload = buffer.readBytes(length: counts.payload)
        else { return nil }
        self.init(first: header[0], payload: payload)
    }

    /// Returns the sizes of the first frame's header and payload in bytes; nil if the header is incomplete.
    package static func counts(in bytes: some RandomAccessCollection<UInt8>) throws -> (header: Int, payload: Int)? {
        let start = Array(bytes.prefix(10))
        guard start.count >= 2 else { return nil }
        guard start[1] & 0x80 == 0 else { throw TestFailure("the gateway masked a frame") }
        let header = start[1] < 126 ? 2 : start[1] == 126 ? 4 : 10
        guard start.count >= header else { return nil }
        let count = header == 2 ? UInt64(start[1]) : start[2..<header].reduce(0) { $0 << 8 | UInt64($1) }
        guard header == 2 || count > (header == 4 ? 125 : 0xFFFF), start[0] & 0x08 == 0 || count <= 125, count <= UInt64(Int.max / 2) else {
            throw TestFailure("invalid encoding of the payload length \(count)")
        }
        return (header, Int(count))
    }
}
