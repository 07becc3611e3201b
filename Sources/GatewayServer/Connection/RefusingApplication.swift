package import GatewayCore
package import GatewayWebSocket
package import NIOCore

/// A refusal told in-band (`?errors=inband`): one fatal error in place of `session`, then the close.
package final class RefusingApplication: WebSocketApplication {
    private let loop: EventLoopState
    private let error: GatewayError

    package init(loop: EventLoopState, error: GatewayError) {
        self.loop = loop
        self.error = error
    }

    package func open() {
        loop.turn.reply(ErrorMessage(error, showsDetails: loop.turn.showsDetails))
        loop.turn.incidents.append(error)
        loop.turn.closing = Closing(error)
    }

    package func receive(_ kind: MessageKind, _ payload: RawSpan, overhead: Int) {}
    package func write(to output: inout ByteBuffer, writer: inout MessageWriter) {}
    package func written(_ report: ConnectionReport?) -> Bool { false }
    package func fail(_ reason: ErrorReason, source: GatewayError.Source, close: CloseCode) {
        loop.turn.closing = Closing(code: close, reason: reason.message)
    }
}
