// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Detection of plain HTTP on the TLS port, such as `ws://` in place of `wss://`, which gets an HTTP response rather than a failed
/// handshake.
package enum PlainHTTP {
    package enum Verdict: Sendable, Hashable {
        /// Not HTTP: TLS, or garbage that OpenSSL will reject.
        case other
        /// A request line; `hasBody` is whether its response may have a body (not for HEAD, RFC 9110 §9.3.2).
        case request(hasBody: Bool)
        /// The first one to three bytes of a method.
        case undecided
    }

    /// The first four bytes of each request line, as big-endian numbers. TLS begins with 0x16, so there is no ambiguity.
    private static let methods: [UInt32] = ["GET ", "POST", "HEAD", "OPTI", "PUT ", "DELE", "CONN", "PATC", "TRAC", "PRI "].map { text in
        text.utf8.reduce(0) { $0 << 8 | UInt32($1) }
    }
    private static let head: UInt32 = 0x4845_4144

    /// Classifies a connection by its first four bytes.
    package static func verdict(of buffer: ByteBuffer) -> Verdict {
        if let first: UInt32 = buffer.getInteger(at: buffer.readerIndex) {
            return methods.contains(first) ? .request(hasBody: first != head) : .other
        }
        var seen: UInt32 = 0
        for byte in buffer.readableBytesView { seen = seen << 8 | UInt32(byte) }
        let unseen = UInt32(8 * (4 - buffer.readableBytes))
        // An empty buffer would match every method.
        if unseen == 32 { return .undecided }
        return methods.contains { $0 >> unseen == seen } ? .undecided : .other
    }

    /// Returns a complete `400 Bad Request` response with a JSON problem (RFC 9457).
    ///
    /// The texts are written unescaped: a constant and a ULID, never a client's text.
    package static func rejection(detail: String, correlationID: String, hasBody: Bool, allocator: ByteBufferAllocator) -> ByteBuffer {
        let body = """
            {"type":"about:blank","title":"Bad Request","status":400,"code":"invalid_upgrade",\
            "detail":"\(detail)","correlation_id":"\(correlationID)"}
            """
        let head = """
            HTTP/1.1 400 Bad Request\r
            Content-Type: application/problem+json\r
            Content-Length: \(body.utf8.count)\r
            Cache-Control: no-store\r
            Connection: close\r
            \r\n
            """
        var buffer = allocator.buffer(capacity: head.utf8.count + body.utf8.count)
        buffer.writeString(head)
        if hasBody { buffer.writeString(body) }
        return buffer
    }
}
