// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore

/// The open connections and the limits. The gateway implements this protocol; tests can use other implementations.
package protocol ConnectionDirectory: Sendable {
    /// Returns the first connections after `cursor`, in the order of their ids, which is that in which they were accepted.
    func connections(after cursor: ULID?, limit: Int) async -> [ConnectionView]

    /// Returns the number of sessions to which each limit admits nothing now.
    func sessionsLimited() async -> [Limit: Int]

    /// Returns the addresses that have reached a limit by address, at most `limit` of them.
    func addressesAtLimit(_ limit: Int) -> [AddressAtLimit]

    /// Removes what has expired.
    func cleanUp() async -> CleanupReport
}

/// The routes of connections: counters, list, rate limits, cleanup.
struct ConnectionRoutes: OperationsRouteGroup {
    /// The default and the maximum number of connections per page.
    static let pageSize = 100
    static let maximumPageSize = 1000
    /// The maximum number of addresses at their limit that are listed.
    static let maximumAddresses = 100

    let connections: any ConnectionDirectory
    let statistics: @Sendable () async -> ConnectionStatistics
    let rates: @Sendable () async -> [RateLimitView]

    private struct Details: Encodable {
        var statistics: ConnectionStatistics
        var connections: [ConnectionView]
        var cursor: String?

        enum CodingKeys: String, CodingKey {
            case connections, cursor
        }

        func encode(to encoder: any Encoder) throws {
            try statistics.encode(to: encoder)
            var members = encoder.container(keyedBy: CodingKeys.self)
            try members.encode(connections, forKey: .connections)
            try members.encodeIfPresent(cursor, forKey: .cursor)
        }
    }

    private struct RateLimits: Encodable {
        var rules: [RateLimitView]
        var addresses: [AddressAtLimit]
    }

    var routes: [OperationsRoute] {
        [
            OperationsRoute("/ws/stats", [.get: .read]), OperationsRoute("/ws/stats/detailed", [.get: .read]),
            OperationsRoute("/ws/stats/rate-limit", [.get: .read]), OperationsRoute("/ws/cleanup", [.post: .operate]),
        ]
    }

    func add(to router: Router<OperationsRequestContext>) {
        router.get("/ws/stats") { [statistics] _, _ in try Response.json(await statistics()) }
        router.get("/ws/stats/detailed") { [self] request, _ in try await list(request) }
        router.get("/ws/stats/rate-limit") { [self] _, _ in
            try Response.json(
                RateLimits(rules: await rates(), addresses: connections.addressesAtLimit(Self.maximumAddresses)))
        }
        router.post("/ws/cleanup") { [connections] request, _ in
            try await request.discardBody()
            return try Response.json(await connections.cleanUp())
        }
    }

    private func list(_ request: Request) async throws -> Response {
        var cursor: ULID?
        if let text = request.uri.queryParameters["cursor"] {
            guard let id = ULID(String(text)) else { throw OperationsProblem.invalidCursor }
            cursor = id
        }
        let limit = try request.pageSize(upTo: Self.maximumPageSize, default: Self.pageSize)
        // One more than the limit shows whether there is another page.
        let found = await connections.connections(after: cursor, limit: limit + 1)
        let page = Array(found.prefix(limit))
        return try Response.json(
            Details(
                statistics: await statistics(), connections: page, cursor: found.count > limit ? page.last?.connectionID : nil))
    }
}

extension OperationsFeature {
    /// The connections of clients.
    ///
    /// - Parameters:
    ///   - statistics: returns the counters
    ///   - rates: returns the state of each rate limit
    package static func connections(
        _ connections: any ConnectionDirectory, statistics: @escaping @Sendable () async -> ConnectionStatistics,
        rates: @escaping @Sendable () async -> [RateLimitView]
    ) -> OperationsFeature {
        OperationsFeature(ConnectionRoutes(connections: connections, statistics: statistics, rates: rates))
    }
}
