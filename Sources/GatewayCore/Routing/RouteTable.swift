/// Where requests of some kind go: a condition, and the upstreams that work on them one after the other.
package struct Route: Sendable, Hashable {
    package enum Input: Sendable, Hashable { case text, audio }

    /// Who may share one upstream call.
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
    /// What it takes; both when it is empty.
    package var inputs: Set<Input> = []
    /// The path that the client has connected to; nil for any.
    package var path: String?
    /// All of these have to be in the request's `meta`.
    package var meta: [MetaEntry] = []
    /// Indices of upstreams, in the order in which they work.
    package var upstreams: [Int] = []
    package var sharing = Sharing.subject
    /// Stands in for `meta.dedupe_key` where the client gives none.
    package var dedupeKey: [UInt8]?
    /// Bytes of audio that are collected for an upstream that takes a recording as a whole.
    package var collectMaxBytes = Int.max
    /// A sentence that the speaker fails on fails the request.
    package var failsWithSpeech = false

    package init(name: String) { self.name = name }

    /// How much it demands: the more, the sooner it is asked.
    fileprivate var rank: (Int, Int, Int) { (path == nil ? 0 : 1, meta.count, inputs.count == 1 ? 1 : 0) }
}

/// All routes, the most particular first: one with a path before one without, then the one with more conditions on `meta`, then the one that
/// takes a single kind of message, then by name.
package struct RouteTable: Sendable, Hashable {
    package let routes: [Route]

    package init(_ routes: [Route]) {
        self.routes = routes.sorted { $0.rank == $1.rank ? $0.name < $1.name : $0.rank > $1.rank }
    }

    /// The index of the route that a request takes; nil when no route takes it.
    ///
    /// - Parameter path: the one that its client has connected to
    package func choose(_ request: borrowing UpstreamRequest, path: String) -> Int? {
        let input: Route.Input =
            switch request.input {
            case .text: .text
            case .audio, .recording: .audio
            }
        for index in routes.indices {
            if !routes[index].inputs.isEmpty, !routes[index].inputs.contains(input) { continue }
            if let wanted = routes[index].path, wanted != path { continue }
            if routes[index].meta.isEmpty { return index }
            let meta = request.meta
            if routes[index].meta.allSatisfy({ wanted in meta.contains { $0.key == wanted.key && $0.value == wanted.value } }) {
                return index
            }
        }
        return nil
    }
}
