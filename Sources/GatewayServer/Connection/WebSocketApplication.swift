package import GatewayCore
package import GatewayWebSocket
package import NIOCore

/// What an upgraded connection is for: a session, or the echo of conformance suites.
package protocol WebSocketApplication: AnyObject {
    /// Whether a connection takes part in `goaway`, age limits and heartbeats.
    var hasSession: Bool { get }
    /// Bytes to write wait in the application.
    var hasWaiting: Bool { get }

    func open()
    func receive(text: RawSpan)
    func receive(binary: RawSpan)
    /// Whether a control frame with so many bytes of payload is to be answered at once.
    func admitsControlFrame(of byteCount: Int) -> Bool
    /// What comes now is refused, whatever it is: compressed messages aren't even inflated.
    var isOverBytes: Bool { get }
    /// Whether a binary message would be looked at.
    var takesBinary: Bool { get }
    /// A message was refused so.
    func refuseSkipped(_ kind: MessageKind)
    /// The message that follows came in so many bytes more than it inflated to.
    func chargeOverhead(of byteCount: Int)
    /// Called before anything of a turn is written.
    func prepare()
    /// What has to be committed before the replies of this turn may go; nil when nothing has to.
    var awaited: UInt64? { get }
    /// Nanoseconds that the replies of this turn may wait for an answer to go with; nil when they mayn't.
    var replyDelay: Int64? { get }
    /// Whether the first message, before which nothing goes, doesn't wait for a commit any more.
    var isGreeted: Bool { get }
    /// A commit has failed: refuses what waits for it, and returns the requests that are refused.
    func refuseUnkept() -> Set<RequestKey>
    /// Writes what waits, until `output` holds ``WebSocketHandler/writeSize`` or so.
    func write(to output: inout ByteBuffer, writer: inout MessageWriter)
    func tick()
    /// Called after everything that could be written was: whether the upstream may go on is decided here.
    func written()
    func goAway(reason: StaticString, deadlineMilliseconds: Int64)
    /// Makes the fatal error that precedes a close frame.
    func fail(_ code: ErrorCode, source: GatewayError.Source, _ message: String, close: CloseCode)
    func update(_ footprint: Ledger.Connection, roundTrip: Int64?)
    /// The connection is ending. Called once, and nothing after it.
    func disconnected()
}

/// What an application without a session leaves alone.
extension WebSocketApplication {
    package var hasSession: Bool { false }
    package func admitsControlFrame(of byteCount: Int) -> Bool { true }
    package func prepare() {}
    package var awaited: UInt64? { nil }
    package var isGreeted: Bool { true }
    package var replyDelay: Int64? { nil }
    package func refuseUnkept() -> Set<RequestKey> { [] }
    package func chargeOverhead(of byteCount: Int) {}
    package var isOverBytes: Bool { false }
    package var takesBinary: Bool { true }
    package func refuseSkipped(_ kind: MessageKind) {}
    package func tick() {}
    package func written() {}
    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {}
    package func update(_ footprint: Ledger.Connection, roundTrip: Int64?) {}
    package func disconnected() {}
}
