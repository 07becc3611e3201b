/// How upstreams are, on the whole: what `status` tells a client, and health an operator.
package enum UpstreamState: String, Sendable, CaseIterable {
    /// All endpoints take requests.
    case ready
    /// Some don't.
    case degraded
    /// Of one upstream, none does.
    case unavailable
}
