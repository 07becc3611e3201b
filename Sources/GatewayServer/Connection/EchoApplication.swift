package import GatewayCore
package import GatewayWebSocket
package import NIOCore

/// `/echo`: returns every message unread, for protocol conformance suites (`conformance.echo`). No session, no rate limits.
package final class EchoApplication: WebSocketApplication {
    private let loop: EventLoopState
    private let connection: Connection
    private var waiting: [(kind: MessageKind, bytes: [UInt8])] = []

    package init(loop: EventLoopState, connection: Connection) {
        self.loop = loop
        self.connection = connection
    }

    package private(set) var memoryBytes = 0

    package func open() {}

    package func receive(_ kind: MessageKind, _ payload: RawSpan, overhead: Int) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.byteCount)
        bytes.append(bytesOf: payload)
        memoryBytes += bytes.count
        waiting.append((kind, bytes))
        // A suite that sends without reading is held to two messages of the largest size.
        guard memoryBytes > 2 * GatewaySettings.echoLimits.maxMessageBytes else { return }
        fail(.slowConsumer, source: .client, close: .slowConsumer)
    }

    package func write(to output: inout ByteBuffer, writer: inout MessageWriter) {
        var index = 0
        while index < waiting.count, output.readableBytes < Self.writeSize {
            let message = waiting[index]
            memoryBytes -= message.bytes.count
            message.bytes.withRawSpan { writer.write(message.kind, $0, mayCompress: true, to: &output) }
            connection.messagesOut &+= 1
            loop.counters.messagesOut &+= 1
            index += 1
        }
        waiting.removeFirst(index)
    }

    package func written(_ report: ConnectionReport?) -> Bool { !waiting.isEmpty }

    package func fail(_ reason: ErrorReason, source: GatewayError.Source, close: CloseCode) {
        loop.turn.closing = Closing(code: close, reason: reason.message)
    }
}
