// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayWebSocket
package import NIOCore

/// The application of an upgraded connection: a session, the echo of conformance suites, or an in-band rejection.
///
/// The handler queries the application twice: ``reading`` before it reads and ``prepareToWrite()`` before it writes. All other calls are
/// events.
package protocol WebSocketApplication: AnyObject {
    /// Opens the application. Called once, while the upgrade is handled.
    func open()

    /// The permission to read the next message. Queried only when a compressed message can be skipped.
    var reading: ReadingPermission { get }
    /// Handles a complete message.
    ///
    /// - Parameter overhead: the bytes by which the payload on the wire exceeds the inflated message
    func receive(_ kind: MessageKind, _ payload: RawSpan, overhead: Int)
    /// Rejects a message that was skipped due to ``reading``.
    func rejectSkipped(_ kind: MessageKind)
    /// Returns whether the limits admit a control frame with this payload size.
    func admitsControlFrame(of byteCount: Int) -> Bool

    /// Prepares for writing the replies to the input.
    func prepareToWrite() -> WritingState
    /// Writes waiting messages, until `output` holds about ``writeSize``.
    func write(to output: inout ByteBuffer, writer: inout MessageWriter)
    /// Whether operators tap the messages; then ``tapReply(_:)`` is called with every reply that is written.
    var isTapped: Bool { get }
    func tapReply(_ message: RawSpan)
    /// Called after a write; with nil when the write was delayed.
    ///
    /// - Returns: whether the application still has messages to write.
    func written(_ report: ConnectionReport?) -> Bool

    /// Rejects the messages that wait for a failed commit.
    ///
    /// - Returns: the rejected requests; nil when the connection must close.
    func commitFailed() -> Set<RequestKey>?
    /// Handles the deadlines that have passed.
    ///
    /// - Returns: whether the connection has heartbeats and an age limit.
    func tick() -> Bool
    func goAway(reason: StaticString, deadlineMilliseconds: Int64)
    /// Sends the fatal error that precedes a close frame.
    func fail(_ reason: ErrorReason, source: GatewayError.Source, close: CloseCode)
    /// Called when the connection ends. The last call.
    func disconnected()
}

/// The permission to read the next message. A message that would be rejected whatever its content isn't inflated.
package struct ReadingPermission: Sendable {
    package var skipsCompressed = false
    package var skipsCompressedBinary = false
}

/// The state of an application before a write.
package struct WritingState: Sendable {
    /// The ticket of the commit that the replies wait for; nil to send them now.
    package var awaitedTicket: UInt64?
    /// Whether the `session` message no longer waits for a commit. No other message is sent before it.
    package var isSessionMessageDurable = true
    /// How long the replies may be delayed to share a write with the response; nil to send them now.
    package var replyDelay: Instant.Duration?
}

/// The state of a connection after a write.
package struct ConnectionReport: Sendable {
    package var memory: MemoryUsage.Connection
    /// The smoothed round-trip time; nil before the first pong.
    package var roundTripNanoseconds: Int64?
}

/// The defaults of an application without a session.
extension WebSocketApplication {
    /// The approximate size up to which frames are collected for one write, in bytes.
    package static var writeSize: Int { 64 * 1024 }

    package var reading: ReadingPermission { ReadingPermission() }
    package func rejectSkipped(_ kind: MessageKind) {}
    package var isTapped: Bool { false }
    package func tapReply(_ message: RawSpan) {}
    package func admitsControlFrame(of byteCount: Int) -> Bool { true }
    package func prepareToWrite() -> WritingState { WritingState() }
    package func commitFailed() -> Set<RequestKey>? { [] }
    package func tick() -> Bool { false }
    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {}
    package func disconnected() {}
}
