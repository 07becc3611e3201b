// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The connection limit of the operations listener.
///
/// At the limit, a new connection replaces the one that has been waiting longest for its client. If all connections are processing
/// requests, a new one is admitted for health only, with a separate limit, so that probes always get a response.
struct OperationsConnectionLimit<ID: Hashable> {
    enum Service: Hashable {
        case full
        /// Every path except health gets 503.
        case healthOnly
    }

    struct Admission: Hashable {
        var service: Service
        /// The connection that the new one replaces, to be closed.
        var evicted: ID?
    }

    private struct Entry {
        var service: Service
        /// When the gateway began to wait for the client; nil while the gateway processes a request.
        var waitingSince: Instant?
    }

    /// Connections for all paths.
    let connections: Int
    /// Connections for health only.
    let healthConnections: Int
    private var entries: [ID: Entry] = [:]

    init(connections: Int, healthConnections: Int) {
        self.connections = connections
        self.healthConnections = healthConnections
    }

    /// Adds a new connection, which has sent nothing yet.
    ///
    /// - Returns: nil if every connection of both kinds is processing a request; the new one must be closed.
    mutating func admit(_ id: ID, at now: Instant) -> Admission? {
        for (service, limit) in [(Service.full, connections), (.healthOnly, healthConnections)] {
            var admission = Admission(service: service)
            if entries.values.count(where: { $0.service == service }) >= limit {
                guard let longest = longestWaiting(service) else { continue }
                entries[longest] = nil
                admission.evicted = longest
            }
            entries[id] = Entry(service: service, waitingSince: now)
            return admission
        }
        return nil
    }

    private func longestWaiting(_ service: Service) -> ID? {
        entries.lazy.filter { $0.value.service == service }
            .compactMap { entry in entry.value.waitingSince.map { (id: entry.key, since: $0) } }
            .min { $0.since < $1.since }?.id
    }

    /// Records whether the gateway is waiting for the client: for a request, for the rest of a request, or for the client to close.
    mutating func setWaiting(_ id: ID, _ isWaiting: Bool, at now: Instant) {
        guard let entry = entries[id], isWaiting != (entry.waitingSince != nil) else { return }
        entries[id]?.waitingSince = isWaiting ? now : nil
    }

    mutating func remove(_ id: ID) { entries[id] = nil }

    /// Nil for a connection that was evicted or has closed.
    func service(of id: ID) -> Service? { entries[id]?.service }
}
