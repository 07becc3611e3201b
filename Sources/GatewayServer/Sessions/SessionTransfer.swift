// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// A session in transfer between two event loops, with its coalescer and upstream link.
///
/// `@unchecked Sendable`: the sending loop no longer accesses the contents, and the receiving loop doesn't access them yet.
package final class SessionTransfer: @unchecked Sendable {
    var session: Session
    let coalescer: Coalescer
    let link: (any UpstreamLink)?
    /// The outstanding demand, in events.
    let demanded: Int
    let taps: [SessionTap]
    /// The difference between the sending loop's clock and the system's.
    let clockOffset: Instant.Duration

    init(
        session: consuming Session, coalescer: Coalescer, link: (any UpstreamLink)?, demanded: Int, taps: [SessionTap],
        clockOffset: Instant.Duration
    ) {
        self.session = session
        self.coalescer = coalescer
        self.link = link
        self.demanded = demanded
        self.taps = taps
        self.clockOffset = clockOffset
    }
}
