// SPDX-License-Identifier: Apache-2.0

/// A snapshot of one upstream, for operators.
package struct UpstreamStatistics: Sendable, Hashable, Codable {
    package struct Endpoint: Sendable, Hashable, Codable {
        package var address: String
        /// `closed`, `open` or `half_open`.
        package var breaker: String
        /// Unix milliseconds: when the breaker entered its state, or else when the upstream was configured.
        package var since: Int64?
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
    /// Requests that hold a permit.
    package var active: Int
    /// Requests that wait for a permit.
    package var waiting: Int
    package var permits: ResourceFigure?
    package var queue: ResourceFigure?
    package var endpoints: [Endpoint]
    package var completed: UInt64 = 0
    package var failed: UInt64 = 0
    package var cancelled: UInt64 = 0
    /// Retries, including hedges.
    package var retries: UInt64 = 0
    package var hedges: UInt64 = 0
    /// Requests that shared the response of an identical request in flight.
    package var shared: UInt64 = 0
    /// Open connections or running processes.
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
