import GatewayCore
import NIOCore

/// How much is read of an upstream at a time, in bytes: what its events cost is what others wait.
enum UpstreamReading {
    /// Of one request's answer.
    static let single = 1024
    /// Of the answers of many.
    static let shared = 16_384
}

/// What makes attempts at one upstream, for all event loops.
protocol UpstreamService: Sendable {
    /// To be called on the event loop, once.
    func makeMaker(on loop: CallLoop) -> any ServiceLoop

    /// Looks after what isn't a request's: health, connections that are too old, processes. Returns when it is cancelled, or has retired.
    func run() async

    /// Nothing will be asked of it any more: what is idle is closed, what is at work goes on to its end. Cancelled, everything ends at once.
    func retire() async
}

/// The part of a service that belongs to one event loop.
protocol ServiceLoop: AttemptMaker {
    func tick(now: Instant)
    /// What a client does, for upstreams that care for turn-taking.
    func tell(_ state: ClientMessage.Status.State, of session: ULID, replyTo: MessageID?, playedMilliseconds: Int64?)
    /// No new requests come, but for retries: lets go of everything with the last of those that there are.
    func retire()
    /// Lets go of everything.
    func close()
}

extension ServiceLoop {
    func tick(now: Instant) {}
    func tell(_ state: ClientMessage.Status.State, of session: ULID, replyTo: MessageID?, playedMilliseconds: Int64?) {}
    func retire() {}
    func close() {}
}
