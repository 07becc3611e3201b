// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Writes server-sent events (HTML Standard §9.2) to the body of a response.
struct EventStreamWriter {
    private var body: any ResponseBodyWriter

    fileprivate init(_ body: any ResponseBodyWriter) { self.body = body }

    /// Sends an event and waits while the client doesn't read.
    ///
    /// - Parameters:
    ///   - event: the type of the event; a constant, without line breaks
    ///   - data: the data; line breaks in it begin further `data` lines
    @concurrent mutating func send(event: String, data: some Collection<UInt8>) async throws {
        var bytes = ByteBuffer()
        bytes.writeString("event: \(event)\n")
        for line in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            bytes.writeString("data: ")
            bytes.writeBytes(line)
            bytes.writeString("\n")
        }
        bytes.writeString("\n")
        try await body.write(bytes)
    }

    /// Sends a comment, which keeps the connection alive and detects a client that has gone. Due every ``EventStream/keepAlive``.
    @concurrent mutating func keepAlive() async throws { try await body.write(ByteBuffer(string: ":\n\n")) }

    @concurrent fileprivate consuming func finish() async throws { try await body.finish(nil) }
}

/// The properties of streams of events.
enum EventStream {
    static let contentType = "text/event-stream"
    /// The longest time without an event or a comment.
    static let keepAlive = Duration.seconds(15)
}

extension Response {
    /// Returns a response that streams events until `produce` returns or the client closes the connection, which makes a write throw.
    ///
    /// The listener admits ``OperationsLimits/streams`` streams, and closes a connection whose client doesn't read for
    /// ``OperationsLimits/requestTimeout``.
    static func eventStream(_ produce: @escaping @concurrent @Sendable (inout EventStreamWriter) async throws -> Void) -> Response {
        Response(
            status: .ok, headers: [.contentType: EventStream.contentType, .connection: "close"],
            body: ResponseBody { writer in
                var events = EventStreamWriter(writer)
                try await produce(&events)
                try await events.finish()
            })
    }
}
