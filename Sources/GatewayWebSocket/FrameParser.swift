package import NIOCore

/// Finds the headers of frames in a stream that arrives in any pieces.
///
/// A header that is cut by the end of a read is kept here, in at most 13 bytes inside the value, so the read buffer can be given back whole.
package struct FrameParser: Sendable {
    package let role: WebSocketRole
    /// Whether permessage-deflate was agreed on.
    package let allowsCompression: Bool
    private var kept = InlineArray<14, UInt8>(repeating: 0)
    /// Bytes of a header that isn't complete yet.
    package private(set) var keptCount = 0

    package init(role: WebSocketRole, allowsCompression: Bool) {
        self.role = role
        self.allowsCompression = allowsCompression
    }

    /// Takes the next header from the buffer.
    ///
    /// - Returns: nil when the header isn't whole yet; all readable bytes are taken then.
    /// - Throws: the rule of RFC 6455 §5.2 that is broken.
    package mutating func next(in buffer: inout ByteBuffer) throws(WebSocketError) -> FrameHeader? {
        if keptCount == 0 {
            if let header = try FrameHeader.parse(buffer.readableBytesSpan, role: role, allowsCompression: allowsCompression) {
                buffer.moveReaderIndex(forwardBy: header.byteCount)
                return header
            }
        }
        // Byte by byte, so that nothing behind the header is taken; this is at most once a read.
        while keptCount < FrameHeader.maximumByteCount, let byte = buffer.readInteger(as: UInt8.self) {
            kept[keptCount] = byte
            keptCount += 1
            let span = kept.span.bytes.extracting(first: keptCount)
            if let header = try FrameHeader.parse(span, role: role, allowsCompression: allowsCompression) {
                keptCount = 0
                return header
            }
        }
        return nil
    }
}
