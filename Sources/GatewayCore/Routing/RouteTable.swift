// SPDX-License-Identifier: Apache-2.0

/// A condition on requests, and the upstreams that process matching requests one after the other.
package struct Route: Sendable, Hashable {
    package enum Input: Sendable, Hashable { case text, audio }

    /// The scope of request deduplication: which identical requests share one upstream call.
    package enum Sharing: String, Sendable, CaseIterable {
        case off
        /// Requests of one user; without authentication, of one session.
        case subject
        /// All requests of the route.
        case shared
    }

    package struct MetaEntry: Sendable, Hashable {
        package var key: [UInt8]
        package var value: [UInt8]

        package init(key: [UInt8], value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    package var name: String
    /// The kinds of requests that match; empty for both.
    package var inputs: Set<Input> = []
    /// The path that the client must have connected to; nil for any.
    package var path: String?
    /// The entries that the request's `meta` must contain.
    package var meta: [MetaEntry] = []
    /// The indices of the upstreams in the order of the stages.
    package var upstreams: [Int] = []
    package var sharing = Sharing.subject
    /// The default for `meta.dedupe_key`.
    package var dedupeKey: [UInt8]?
    /// The limit in bytes of a recording that is collected for an upstream that doesn't accept streams.
    package var collectMaxBytes = Int.max
    /// Whether the request fails when a sentence can't be synthesized.
    package var requiresSpeech = false

    package init(name: String) { self.name = name }

    /// The specificity: routes with a higher rank are matched first.
    fileprivate var rank: (Int, Int, Int) { (path == nil ? 0 : 1, meta.count, inputs.count == 1 ? 1 : 0) }
}

/// All routes, the most specific first: routes with a path, then those with more conditions on `meta`, then those for a single kind of
/// request, then by name.
package struct RouteTable: Sendable, Hashable {
    package let routes: [Route]

    package init(_ routes: [Route]) {
        self.routes = routes.sorted { $0.rank == $1.rank ? $0.name < $1.name : $0.rank > $1.rank }
    }

    /// Returns the index of the first route that matches a request; nil when none does.
    ///
    /// - Parameter path: the path that the client has connected to
    package func choose(_ request: borrowing UpstreamRequest, path: String) -> Int? {
        let input: Route.Input =
            switch request.input {
            case .text: .text
            case .audio, .recording: .audio
            }
        for index in routes.indices {
            if !routes[index].inputs.isEmpty, !routes[index].inputs.contains(input) { continue }
            if let expected = routes[index].path, expected != path { continue }
            if routes[index].meta.isEmpty { return index }
            let meta = request.meta
            if routes[index].meta.allSatisfy({ expected in meta.contains { $0.key == expected.key && $0.value == expected.value } }) {
                return index
            }
        }
        return nil
    }
}
