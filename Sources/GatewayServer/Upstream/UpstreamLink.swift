package import GatewayCore

/// The connection of one session to its upstream, on the session's event loop.
///
/// Commands go in; events come back through the ``UpstreamReceiver``, at once or later, but never more than was asked for with
/// ``demand(_:)``. That is the whole seam: a WebSocket, an HTTP stream, a process or the built-in loopback fit behind it.
package protocol UpstreamLink: AnyObject {
    /// Takes a command. What it carries waits in the link until there is demand; the session counts those bytes and refuses what
    /// doesn't fit, so the link needs no bound of its own.
    /// - Parameter audio: what the ranges of audio commands refer to, during the call
    func send(_ command: UpstreamCommand, audio: [UInt8])

    /// Allows `events` more events. A failure needs no demand.
    func demand(_ events: Int)

    /// Takes back the events that were allowed and haven't come. Those on their way from elsewhere may come all the same.
    ///
    /// - Returns: how many that were.
    func withdraw() -> Int

    /// The session goes to another event loop. Called on the old one's behalf by the new one: from now on that is the link's, and `receiver`
    /// hears of everything.
    func move(to receiver: any UpstreamReceiver)

    /// The session is over. Nothing is reported afterwards, and the receiver is let go of.
    func close()
}

/// The session's side of an ``UpstreamLink``.
package protocol UpstreamReceiver: AnyObject {
    /// Called from inside ``UpstreamLink/send(_:)`` or ``UpstreamLink/demand(_:)``, or from a task of the event loop that does nothing
    /// else: never from inside another connection's turn.
    func receive(_ event: consuming UpstreamEvent)

    /// The link has worked off `bytes` of what it was sent.
    func took(_ bytes: Int)
}

/// Makes links; one for each session. Chosen in the assembly.
package protocol UpstreamProvider: Sendable {
    /// Called on the session's event loop. The link keeps the receiver until it is closed.
    func makeLink(for receiver: any UpstreamReceiver) -> any UpstreamLink
}
