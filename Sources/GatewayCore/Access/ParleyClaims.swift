// SPDX-License-Identifier: Apache-2.0

/// The claim `parley` of a token: limits, quotas and restrictions of one user. A member that is nil or empty changes nothing, except that
/// an empty list of paths, routes or types allows none.
package struct ParleyClaims: Sendable, Equatable {
    /// A limit by its configuration key, in the key's unit. 0 turns the limit off.
    package struct LimitClaim: Sendable, Equatable {
        package var limit: Limit
        package var value: Double

        package init(_ limit: Limit, _ value: Double) {
            self.limit = limit
            self.value = value
        }
    }

    /// A quota by the name of its configuration key without `quotas.`, such as `messages_per_day`. 0 turns the quota off.
    package struct QuotaClaim: Sendable, Equatable {
        package var name: String
        package var value: Double

        package init(_ name: String, _ value: Double) {
            self.name = name
            self.value = value
        }
    }

    /// An entry of `meta`, which the upstream receives under `claims`. Sanitized like a client's `meta`.
    package struct MetaEntry: Sendable, Equatable {
        package var key: String
        package var value: String

        package init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// Each limit at most once.
    package var limits: [LimitClaim] = []
    /// Paths of the WebSocket endpoint that the client may connect to; nil for all.
    package var paths: [String]?
    /// Names of the routes that the client may use; nil for all.
    package var routes: [String]?
    /// Kinds of requests that the client may send; nil for all.
    package var types: Set<Route.Input>?
    /// Each quota at most once.
    package var quotas: [QuotaClaim] = []
    /// At most 16 entries with distinct keys.
    package var meta: [MetaEntry] = []
    /// `session.ttl` in milliseconds: the maximum age of a session; nil for the configured one.
    package var sessionMilliseconds: Int64?
    /// How often the token may open a new session, 0 (any number) to 100.
    package var uses = 0

    package init() {}

    /// Returns whether the client may connect to the path. `/v1/ws` includes its alias `/ws`.
    package func allows(path: String) -> Bool {
        guard let paths else { return true }
        return paths.contains(path) || path == "/ws" && paths.contains("/v1/ws")
    }

    /// Returns whether the client may use the route of this name.
    package func allows(route: String) -> Bool { routes?.contains(route) ?? true }

    /// Returns whether the client may send requests of this kind.
    package func allows(type: Route.Input) -> Bool { types?.contains(type) ?? true }
}
