extension RouteTable {
    /// A route that no request ever takes.
    package enum Unreachable: Sendable, Hashable {
        /// These take all that it would; indices of ``routes``.
        case covered(by: [Int])
        /// It demands two values of one key of `meta`, which has one.
        case contradiction(key: [UInt8])
    }

    /// The routes that no request ever takes, by their indices in ``routes``.
    package var unreachable: [Int: Unreachable] {
        var found: [Int: Unreachable] = [:]
        for index in routes.indices {
            if let key = routes[index].contradiction {
                found[index] = .contradiction(key: key)
                continue
            }
            let earlier = routes[..<index].indices.filter { found[$0] == nil && routes[$0].takesAll(of: routes[index]) }
            let taken = earlier.reduce(into: Set<Route.Input>()) { $0.formUnion(routes[$1].allInputs) }
            if taken.isSuperset(of: routes[index].allInputs) {
                found[index] = .covered(by: earlier.filter { !routes[$0].allInputs.isDisjoint(with: routes[index].allInputs) })
            }
        }
        return found
    }
}

extension Route {
    fileprivate var allInputs: Set<Input> { inputs.isEmpty ? [.text, .audio] : inputs }

    /// Whether it demands nothing of path and meta that the other one doesn't.
    fileprivate func takesAll(of other: Route) -> Bool {
        (path == nil || path == other.path) && meta.allSatisfy(other.meta.contains)
    }

    /// The first key of `meta` that is to have two values.
    fileprivate var contradiction: [UInt8]? {
        meta.first { entry in meta.contains { $0.key == entry.key && $0.value != entry.value } }?.key
    }
}
