package import GatewayCore

/// How much is read from an upstream at a time, in bytes: the longer its events take, the longer other connections wait.
enum UpstreamReading {
    /// From a connection that carries one response.
    static let single = 1024
    /// From a connection that carries many responses.
    static let shared = 16_384
}

/// The transport of one upstream, for all event loops.
protocol UpstreamService: Sendable {
    /// To be called on the event loop, once.
    func makeTransport(on loop: CallLoop) -> any UpstreamTransport

    /// Looks after health, connections that are too old, and processes. Returns when it is cancelled, or has retired.
    func run() async

    /// No request follows: idle connections are closed, active ones go on to their end. Cancelled, everything ends at once.
    func retire() async
}

/// The part of a service that belongs to one event loop: makes attempts at the endpoints of the upstream.
package protocol UpstreamTransport: AnyObject {
    /// - Parameter reporter: kept until the attempt has ended
    func makeAttempt(_ request: borrowing UpstreamRequest, endpoint: Int, reporter: AttemptReporter) -> any UpstreamAttempt

    func tick(now: Instant)
    /// The state of a client, for upstreams that care for turn-taking.
    func tell(_ state: ClientMessage.Status.State, of session: ULID, replyTo: MessageID?, playedMilliseconds: Int64?)
    /// No new requests come, but for retries: everything is released with the last of the present ones.
    func retire()
    /// Releases everything.
    func close()
}

extension UpstreamTransport {
    package func tick(now: Instant) {}
    package func tell(_ state: ClientMessage.Status.State, of session: ULID, replyTo: MessageID?, playedMilliseconds: Int64?) {}
    package func retire() {}
    package func close() {}
}
