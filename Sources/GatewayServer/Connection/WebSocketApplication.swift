package import GatewayCore
package import GatewayWebSocket
package import NIOCore

/// The purpose of an upgraded connection: a session, the echo of conformance suites, or a refusal sent in-band.
///
/// The handler asks twice, before it reads and before it writes; all other calls are events.
package protocol WebSocketApplication: AnyObject {
    /// Begins. Called once, in the turn of the upgrade.
    func open()

    /// The permission to read the next message. Asked for only where a compressed message can be skipped.
    var reading: ReadingPermission { get }
    /// Handles a whole message.
    ///
    /// - Parameter overhead: payload bytes on the wire beyond those that the message inflated to
    func receive(_ kind: MessageKind, _ payload: RawSpan, overhead: Int)
    /// Refuses a message that was skipped as ``reading`` said.
    func refuseSkipped(_ kind: MessageKind)
    /// Whether a control frame with a payload of this size is admitted by the limits.
    func admitsControlFrame(of byteCount: Int) -> Bool

    /// Prepares for writing the replies of the turn.
    func prepareToWrite() -> WritingState
    /// Writes waiting messages, until `output` holds about ``writeSize``.
    func write(to output: inout ByteBuffer, writer: inout MessageWriter)
    /// Called after a write. Nil reports that the write was delayed.
    ///
    /// - Returns: whether messages still wait in the application.
    func written(_ report: ConnectionReport?) -> Bool

    /// Refuses messages that wait for a commit, because it has failed.
    ///
    /// - Returns: the refused requests; nil when the connection can't go on.
    func commitFailed() -> Set<RequestKey>?
    /// Performs what is due.
    ///
    /// - Returns: whether the connection has heartbeats and an age limit.
    func tick() -> Bool
    func goAway(reason: StaticString, deadlineMilliseconds: Int64)
    /// Sends the fatal error that precedes a close frame.
    func fail(_ reason: ErrorReason, source: GatewayError.Source, close: CloseCode)
    /// Ends the application's use of the connection. The last call.
    func disconnected()
}

/// The permission to read the next message. A message that would be refused in any case isn't inflated.
package struct ReadingPermission: Sendable {
    package var skipsCompressed = false
    package var skipsCompressedBinary = false
}

/// The state of an application before a write.
package struct WritingState: Sendable {
    /// The commit that the replies of this turn wait for; nil to send them now.
    package var awaitedTicket: UInt64?
    /// Whether the first message doesn't wait for a commit any more. Nothing is sent before it.
    package var isGreeted = true
    /// How long the replies of this turn may be delayed to share a write with the response; nil to send them now.
    package var replyDelay: Instant.Duration?
}

/// The state of a connection after a write.
package struct ConnectionReport: Sendable {
    package var memory: Ledger.Connection
    /// Smoothed; nil before the first pong.
    package var roundTripNanoseconds: Int64?
}

/// The defaults of an application without a session.
extension WebSocketApplication {
    /// Frames are collected up to about this size before they go to the pipeline.
    package static var writeSize: Int { 64 * 1024 }

    package var reading: ReadingPermission { ReadingPermission() }
    package func refuseSkipped(_ kind: MessageKind) {}
    package func admitsControlFrame(of byteCount: Int) -> Bool { true }
    package func prepareToWrite() -> WritingState { WritingState() }
    package func commitFailed() -> Set<RequestKey>? { [] }
    package func tick() -> Bool { false }
    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {}
    package func disconnected() {}
}
