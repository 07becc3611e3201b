import GatewayCore

/// A session on its way between two event loops, and what belongs to it.
///
/// Unchecked: the loop that sends it has given up everything in it, and the loop that receives it hasn't begun.
package final class SessionTransfer: @unchecked Sendable {
    var session: Session
    let coalescer: Coalescer
    let link: (any UpstreamLink)?
    /// Events that the upstream may still send unasked.
    let demanded: Int
    /// The time by which the sender's clock is ahead of the system's.
    let clockOffset: Instant.Duration

    init(session: consuming Session, coalescer: Coalescer, link: (any UpstreamLink)?, demanded: Int, clockOffset: Instant.Duration) {
        self.session = session
        self.coalescer = coalescer
        self.link = link
        self.demanded = demanded
        self.clockOffset = clockOffset
    }
}
