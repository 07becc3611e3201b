package import GatewayCore
package import NIOCore

/// A refusal told in-band (`?errors=inband`): one fatal error in place of `session`, then the close.
package final class RefusingApplication: WebSocketApplication {
    private let loop: LoopContext
    private let error: GatewayError

    package init(loop: LoopContext, error: GatewayError) {
        self.loop = loop
        self.error = error
    }

    package var hasWaiting: Bool { false }

    package func open() {
        loop.turn.reply(ErrorMessage(error, showsDetails: loop.turn.showsDetails))
        loop.turn.incidents.append(error)
        loop.turn.closing = Closing(error)
    }

    package func receive(text: RawSpan) {}
    package func receive(binary: RawSpan) {}
    package func write(to output: inout ByteBuffer, writer: inout MessageWriter) {}
    package func fail(_ code: ErrorCode, source: GatewayError.Source, _ message: String, close: CloseCode) {
        loop.turn.closing = Closing(code: close, reason: message)
    }
}
