// SPDX-License-Identifier: Apache-2.0

/// The state of a session's requests in flight that a hand-over to another node needs besides its records.
extension Session {
    /// The requests in flight, oldest first.
    package var requestKeys: [RequestKey] { inFlight.map(\.key) }

    /// The tariffs of the requests in flight whose usage is charged.
    package var requestTariffs: [(RequestKey, RouteTariff)] {
        inFlight.compactMap { request in request.charge?.tariff.map { (request.key, $0) } }
    }

    /// Bytes sent to the upstreams that they haven't consumed yet.
    package var upstreamQueueBytes: Int { inFlight.queuedBytes }

    /// Continues the count of ``upstreamQueueBytes``, after a hand-over.
    package mutating func restore(upstreamQueueBytes bytes: Int) { inFlight.queue(max(0, bytes - inFlight.queuedBytes)) }
}
