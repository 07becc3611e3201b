// SPDX-License-Identifier: Apache-2.0

extension RouteTable {
    /// The reason why no request can match a route.
    package enum Unreachable: Sendable, Hashable {
        /// Earlier routes match all its requests; their indices in ``routes``.
        case covered(by: [Int])
        /// The route requires two values for one key of `meta`.
        case contradiction(key: [UInt8])
    }

    /// The routes that no request can match, by index in ``routes``.
    package var unreachable: [Int: Unreachable] {
        var found: [Int: Unreachable] = [:]
        for index in routes.indices {
            if let key = routes[index].contradiction {
                found[index] = .contradiction(key: key)
                continue
            }
            let earlier = routes[..<index].indices.filter { found[$0] == nil && routes[$0].matchesAll(of: routes[index]) }
            let coveredInputs = earlier.reduce(into: Set<Route.Input>()) { $0.formUnion(routes[$1].allInputs) }
            if coveredInputs.isSuperset(of: routes[index].allInputs) {
                found[index] = .covered(by: earlier.filter { !routes[$0].allInputs.isDisjoint(with: routes[index].allInputs) })
            }
        }
        return found
    }
}

extension Route {
    fileprivate var allInputs: Set<Input> { inputs.isEmpty ? [.text, .audio] : inputs }

    /// Whether the path and meta conditions of this route hold for every request that matches the other route.
    fileprivate func matchesAll(of other: Route) -> Bool {
        (path == nil || path == other.path) && meta.allSatisfy(other.meta.contains)
    }

    /// The first key of `meta` that the route requires two values for.
    fileprivate var contradiction: [UInt8]? {
        meta.first { entry in meta.contains { $0.key == entry.key && $0.value != entry.value } }?.key
    }
}
