package import GatewayCore
package import NIOCore

/// The connection of one session to its upstreams, on the session's event loop.
///
/// Commands go in; events come back through the ``UpstreamEventSink``, at once or later, but never more than was asked for with
/// ``demand(_:)``. That is the whole seam: a WebSocket, an HTTP stream, a process or the built-in loopback fit behind it.
package protocol UpstreamLink: AnyObject {
    /// Takes a command. Its content waits in the link until there is demand; the session counts those bytes and refuses what
    /// doesn't fit, so the link needs no bound of its own.
    ///
    /// Events are delivered from inside this method or ``demand(_:)``, or from a task of the event loop of their own: never while another
    /// connection's input is handled.
    ///
    /// - Parameter audio: the buffer that the ranges of audio commands refer to, during the call
    func send(_ command: UpstreamCommand, audio: [UInt8])

    /// Allows `events` more events. A failure needs no demand.
    func demand(_ events: Int)

    /// Takes back the events that were allowed and haven't come.
    ///
    /// - Returns: how many that were.
    func withdraw() -> Int

    /// The session is about to leave this event loop: nothing is reported until it has arrived on another one.
    func leave()

    /// The session has arrived on another event loop. Called there: from now on that is the link's, and `session` receives everything.
    func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop)

    /// The session has ended. Nothing is reported afterwards, and its sink is released.
    func close()

    /// Whether it responds from inside ``send(_:audio:)``.
    var isAtOnce: Bool { get }

    /// Bytes that it holds besides those that the session counts as waiting for the upstream.
    var heldBytes: Int { get }
}

/// Upstreams as one event loop has them. Belongs to it.
package protocol UpstreamLoop: AnyObject {
    /// The link keeps the session until it is closed.
    func makeLink(for session: any UpstreamEventSink & ConversationSource, id: ULID) -> any UpstreamLink

    /// Acts on what falls due. To be called every 100 ms.
    func tick(now: Instant)

    /// Another configuration is in force.
    func reload()

    /// Cancels everything.
    func shutDown()
}

/// The upstreams of the process. Chosen in the assembly.
package protocol UpstreamProvider: Sendable {
    /// - Parameter now: the clock of the event loop, which leaves out the time that the process was stopped
    func makeLoop(on eventLoop: any EventLoop, now: @escaping () -> Instant) -> any UpstreamLoop

    /// The state of all upstreams together.
    var state: UpstreamState { get }
    /// Paths that clients may connect to besides the gateway's own.
    var paths: Set<String> { get }
    /// Their figures, for operators.
    var statistics: [UpstreamStatistics] { get }
}
