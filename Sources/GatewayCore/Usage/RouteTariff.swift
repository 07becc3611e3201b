// SPDX-License-Identifier: Apache-2.0

/// The upstreams of a route with their prices, to which the usage of the route's requests is charged.
package final class RouteTariff: Sendable {
    package struct Stage: Sendable {
        package let role: UpstreamRole
        package let upstream: String
        package let price: Price

        package init(role: UpstreamRole, upstream: String, price: Price) {
            self.role = role
            self.upstream = upstream
            self.price = price
        }
    }

    package let route: String
    package let stages: [Stage]
    /// The index of the transcribe stage.
    let transcriber: Int?
    /// The index of the stage that uses tokens.
    let responder: Int?
    /// The index of the synthesize stage.
    let synthesizer: Int?

    package init(route: String, stages: [Stage]) {
        self.route = route
        self.stages = stages
        transcriber = stages.firstIndex { $0.role == .transcribe }
        responder = stages.firstIndex { $0.role == .respond || $0.role == .any }
        synthesizer = stages.lastIndex { $0.role == .synthesize }
    }

    /// The tariff of requests without a configured upstream.
    package static let unrouted = RouteTariff(route: "", stages: [Stage(role: .any, upstream: "", price: Price())])
}
