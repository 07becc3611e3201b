// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayWebSocket
package import NIOCore

/// An in-band rejection (`?errors=inband`): sends a fatal error instead of `session`, then closes.
package final class RejectingApplication: WebSocketApplication {
    private let loop: EventLoopState
    private let error: GatewayError

    package init(loop: EventLoopState, error: GatewayError) {
        self.loop = loop
        self.error = error
    }

    package func open() {
        loop.effects.reply(ErrorMessage(error, showsDetails: loop.effects.showsDetails))
        loop.effects.incidents.append(error)
        loop.effects.closing = Closing(error)
    }

    package func receive(_ kind: MessageKind, _ payload: RawSpan, overhead: Int) { loop.metrics.inbound.add(.other) }
    package func write(to output: inout ByteBuffer, writer: inout MessageWriter) {}
    package func written(_ report: ConnectionReport?) -> Bool { false }
    package func fail(_ reason: ErrorReason, source: GatewayError.Source, close: CloseCode) {
        loop.effects.closing = Closing(code: close, reason: reason.message)
    }
}
