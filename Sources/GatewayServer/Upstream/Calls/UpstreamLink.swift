package import GatewayCore
package import NIOCore

/// The connection of one session to its upstreams, on the session's event loop.
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

    /// Takes back the events that were allowed and haven't come.
    ///
    /// - Returns: how many that were.
    func withdraw() -> Int

    /// The session is about to leave this event loop: nothing is reported until it has arrived on another one.
    func leave()

    /// The session has arrived on another event loop. Called there: from now on that is the link's, and `receiver` hears of everything.
    func move(to receiver: any UpstreamReceiver, on eventLoop: any EventLoop)

    /// The session is over. Nothing is reported afterwards, and the receiver is let go of.
    func close()

    /// Whether it answers from inside ``send(_:audio:)``.
    var isAtOnce: Bool { get }

    /// Bytes that it holds beside those that the session counts as waiting for the upstream.
    var heldBytes: Int { get }
}

/// The session's side of an ``UpstreamLink``.
package protocol UpstreamReceiver: AnyObject {
    /// Called from inside ``UpstreamLink/send(_:)`` or ``UpstreamLink/demand(_:)``, or from a task of the event loop that does nothing
    /// else: never from inside another connection's turn.
    func receive(_ event: consuming UpstreamEvent)

    /// The link has worked off `bytes` of what it was sent.
    func took(_ bytes: Int)

    /// Of a spoken answer, the client has heard no more than so many bytes of its text.
    func heard(_ bytes: Int, of request: RequestKey)

    /// What was said before a request, the oldest first. Called from inside ``UpstreamLink/send(_:)`` only.
    func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine]
}

extension UpstreamReceiver {
    package func heard(_ bytes: Int, of request: RequestKey) {}
    package func conversation(before request: RequestKey, lines: Int, bytes: Int) -> [ConversationLine] { [] }
}

/// Upstreams as one event loop has them. Belongs to it.
package protocol UpstreamLoop: AnyObject {
    /// The link keeps the receiver until it is closed.
    func makeLink(for receiver: any UpstreamReceiver, session: ULID) -> any UpstreamLink

    /// Acts on what falls due. To be called every 100 ms.
    func tick(now: Instant)

    /// Another configuration holds.
    func reload()

    /// Cancels everything.
    func shutDown()
}

/// The upstreams of the process. Chosen in the assembly.
package protocol UpstreamProvider: Sendable {
    /// - Parameter now: the clock of the event loop, which leaves out what the process didn't live through
    func makeLoop(on eventLoop: any EventLoop, now: @escaping () -> Instant) -> any UpstreamLoop

    /// How they are, on the whole.
    var state: UpstreamState { get }
    /// Paths that clients may connect to beside the gateway's own.
    var paths: Set<String> { get }
    /// Their figures, for operators.
    var statistics: [UpstreamStatistics] { get }
}

/// One upstream at one moment, as operators see it.
package struct UpstreamStatistics: Sendable, Hashable, Codable {
    package struct Endpoint: Sendable, Hashable, Codable {
        package var address: String
        /// `closed`, `open` or `half_open`.
        package var breaker: String
        package var healthy: Bool
        package var outstanding: Int
        package var requests: UInt64
        package var failures: UInt64

        package init(address: String, breaker: String, healthy: Bool, outstanding: Int, requests: UInt64, failures: UInt64) {
            self.address = address
            self.breaker = breaker
            self.healthy = healthy
            self.outstanding = outstanding
            self.requests = requests
            self.failures = failures
        }
    }

    package var name: String
    package var kind: String
    /// `ready`, `degraded` or `unavailable`.
    package var state: String
    /// Requests that are worked on, and that wait for a place.
    package var active: Int
    package var waiting: Int
    package var endpoints: [Endpoint]
    package var completed: UInt64 = 0
    package var failed: UInt64 = 0
    package var cancelled: UInt64 = 0
    package var retries: UInt64 = 0
    package var hedges: UInt64 = 0
    package var shared: UInt64 = 0
    /// Connections or processes that there are.
    package var connections: Int = 0

    package init(name: String, kind: String, state: String, active: Int, waiting: Int, endpoints: [Endpoint]) {
        self.name = name
        self.kind = kind
        self.state = state
        self.active = active
        self.waiting = waiting
        self.endpoints = endpoints
    }
}
