// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOCore
package import NIOHTTP1

/// A complete HTTP response of the front listener: health, a file, or a rejection as problem+json (RFC 9457). The connection closes after it.
package struct ListenerResponse: Sendable {
    package var status: HTTPResponseStatus
    package var headers: HTTPHeaders
    package var body: [UInt8]

    package init(_ response: HealthResponse) {
        status = HTTPResponseStatus(statusCode: response.status)
        headers = ["Content-Type": HealthResponse.contentType, "Cache-Control": "no-store"]
        body = response.body
    }

    /// A response without a body (204).
    package static let noContent = ListenerResponse(status: .noContent, headers: [:], body: [])

    init(status: HTTPResponseStatus, headers: HTTPHeaders, body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// - Parameter retryAfter: seconds; nil when retrying doesn't help
    package init(
        _ status: HTTPResponseStatus, reason: ErrorReason, correlationID: ULID, headers: HTTPHeaders = [:],
        retryAfter: Int? = nil
    ) {
        self.status = status
        self.headers = headers
        self.headers.add(name: "Content-Type", value: "application/problem+json")
        if let retryAfter { self.headers.add(name: "Retry-After", value: "\(retryAfter)") }
        var body: [UInt8] = []
        body.appendJSON(expecting: 256) { writer in
            writer.object { writer in
                writer.member("type", literal: "about:blank")
                writer.member("title", status.reasonPhrase)
                writer.member("status", status.code)
                writer.member("detail", reason.message)
                writer.member("code", reason.code.rawValue)
                writer.member("correlation_id", correlationID)
            }
        }
        self.body = body
    }

    /// Serializes the response; without the body for a HEAD request.
    package func bytes(includingBody: Bool, allocator: ByteBufferAllocator) -> ByteBuffer {
        var buffer = Self.head(status, headers, allocator: allocator)
        // RFC 9110 §8.6: 204 has no Content-Length, and that of 304 would be the file's.
        if status != .noContent, status != .notModified { buffer.writeString("Content-Length: \(body.count)\r\n") }
        buffer.writeString("Connection: close\r\n\r\n")
        if includingBody { buffer.writeBytes(body) }
        return buffer
    }

    /// Serializes the status line and headers, without the empty line. Values must never come from a client: they aren't escaped.
    package static func head(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, allocator: ByteBufferAllocator) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: 512)
        buffer.writeString("HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n")
        for (name, value) in headers { buffer.writeString("\(name): \(value)\r\n") }
        return buffer
    }
}
