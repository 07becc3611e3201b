// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Warnings about settings that are allowed but probably mistakes.
extension ConfigurationRules {
    var warnings: [String] {
        // With problems, such as unknown upstreams, the warnings could be wrong.
        guard problems.isEmpty, rejected.isEmpty else { return [] }
        return authenticationWarnings + proxyWarnings + upstreamWarnings + routeWarnings
    }

    private var authenticationWarnings: [String] {
        guard configuration.auth.mode == .jwt, !configuration.auth.hasKeySource else { return [] }
        return [
            "auth.secret (\(source("auth.secret"))): no key to verify tokens is configured; only tokens that this process has minted are accepted"
        ]
    }

    private var proxyWarnings: [String] {
        guard configuration.connections.trustedProxies.contains(where: { $0.prefixLength == 0 }) else { return [] }
        return [
            "connections.trusted_proxies (\(source("connections.trusted_proxies"))): every address is trusted, so any client can claim another's"
        ]
    }

    private var upstreamWarnings: [String] {
        let used = Set(configuration.routes.values.flatMap(\.upstreams))
        return configuration.upstreams.sorted { $0.key < $1.key }.flatMap { name, upstream in
            var found: [String] = []
            func warn(_ field: String?, _ text: String) {
                let origin = source("upstreams.\(name).\(field ?? "kind")")
                found.append("upstreams.\(name)\(field.map { ".\($0)" } ?? "") (\(origin)): \(text)")
            }
            if !used.contains(name) {
                let effect = configuration.routes.isEmpty ? "; without any route all requests go to the built-in loopback" : ""
                warn(nil, "no route uses the upstream\(effect)")
            }
            if upstream.kind == .openai, upstream.model.isEmpty {
                warn("model", "the upstream has no model; most servers reject requests without one")
            }
            if upstream.kind == .loopback, !upstream.urls.isEmpty || !upstream.command.isEmpty {
                warn("kind", "the kind is loopback, which echoes requests and uses neither urls nor command")
            }
            return found
        }
    }

    private var routeWarnings: [String] {
        let names = configuration.upstreams.keys.sorted()
        let roles = names.map { configuration[upstream: $0].role }
        let table = RouteTable(configuration.routes.map { Route(name: $0.key, $0.value, upstreamNames: names, roles: roles) })
        return table.unreachable.sorted { $0.key < $1.key }.map { index, reason in
            let name = table.routes[index].name
            let why =
                switch reason {
                case .covered(let others):
                    "\(others.map { table.routes[$0].name }.joined(separator: " and ")) matches all its requests first"
                case .contradiction(let key): "meta requires two values of \(String(decoding: key, as: UTF8.self))"
                }
            return "routes.\(name) (\(source("routes.\(name).upstreams"))): the route is never used: \(why)"
        }
    }
}
