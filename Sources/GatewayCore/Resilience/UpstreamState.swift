// SPDX-License-Identifier: Apache-2.0

/// The state of one upstream or of all upstreams together, as reported in `status` messages and by the health endpoint.
package enum UpstreamState: String, Sendable, CaseIterable {
    /// All endpoints are healthy, and their circuit breakers are closed.
    case ready
    /// Some endpoints are unhealthy, or their circuit breakers aren't closed.
    case degraded
    /// All circuit breakers of an upstream are open.
    case unavailable
}
