// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayWebSocket
package import NIOCore

/// The `/echo` path for protocol conformance suites (`conformance.echo`): returns every message unparsed, without a session or rate limits.
package final class EchoApplication: WebSocketApplication {
    private let loop: EventLoopState
    private let connection: Connection
    private var queue: [(kind: MessageKind, bytes: [UInt8])] = []

    package init(loop: EventLoopState, connection: Connection) {
        self.loop = loop
        self.connection = connection
    }

    package private(set) var memoryBytes = 0

    package func open() {}

    package func receive(_ kind: MessageKind, _ payload: RawSpan, overhead: Int) {
        loop.metrics.inbound.add(.other)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.byteCount)
        bytes.append(bytesOf: payload)
        memoryBytes += bytes.count
        queue.append((kind, bytes))
        // Memory for a client that doesn't read is limited to two messages of the largest size.
        guard memoryBytes > 2 * GatewaySettings.echoLimits.maxMessageBytes else { return }
        loop.metrics.slowConsumers &+= 1
        fail(.slowConsumer, source: .client, close: .slowConsumer)
    }

    package func write(to output: inout ByteBuffer, writer: inout MessageWriter) {
        var index = 0
        while index < queue.count, output.readableBytes < Self.writeSize {
            let message = queue[index]
            memoryBytes -= message.bytes.count
            message.bytes.withRawSpan { writer.write(message.kind, $0, mayCompress: true, to: &output) }
            connection.messagesOut &+= 1
            loop.metrics.countSent(.other)
            index += 1
        }
        queue.removeFirst(index)
    }

    package func written(_ report: ConnectionReport?) -> Bool { !queue.isEmpty }

    package func fail(_ reason: ErrorReason, source: GatewayError.Source, close: CloseCode) {
        loop.effects.closing = Closing(code: close, reason: reason.message)
    }
}
