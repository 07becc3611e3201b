// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Parses the frame headers of a stream that may be split anywhere.
///
/// A header that is split by the end of a read is copied into the value, at most 13 bytes, so that the read buffer can be reused.
package struct FrameParser: Sendable {
    package let role: WebSocketRole
    /// Whether permessage-deflate was negotiated.
    package let allowsCompression: Bool
    private var partial = InlineArray<14, UInt8>(repeating: 0)
    /// The copied bytes of an incomplete header.
    package private(set) var partialCount = 0

    package init(role: WebSocketRole, allowsCompression: Bool) {
        self.role = role
        self.allowsCompression = allowsCompression
    }

    /// Parses and consumes the next header.
    ///
    /// - Returns: nil when the header is incomplete; then all readable bytes are consumed.
    /// - Throws: the violated rule of RFC 6455 §5.2.
    package mutating func next(in buffer: inout ByteBuffer) throws(WebSocketError) -> FrameHeader? {
        if partialCount == 0 {
            if let header = try FrameHeader.parse(buffer.readableBytesSpan, role: role, allowsCompression: allowsCompression) {
                buffer.moveReaderIndex(forwardBy: header.byteCount)
                return header
            }
        }
        // Byte by byte, so that no byte after the header is consumed. Happens at most once per read.
        while partialCount < FrameHeader.maximumByteCount, let byte = buffer.readInteger(as: UInt8.self) {
            partial[partialCount] = byte
            partialCount += 1
            let span = partial.span.bytes.extracting(first: partialCount)
            if let header = try FrameHeader.parse(span, role: role, allowsCompression: allowsCompression) {
                partialCount = 0
                return header
            }
        }
        return nil
    }
}
