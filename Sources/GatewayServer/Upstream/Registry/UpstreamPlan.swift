// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Synchronization

/// The configured upstreams and the routes to them. Immutable.
final class UpstreamPlan: Sendable {
    /// A route with its chain and the limits of the conversation that its requests include, in lines and bytes.
    struct PlannedRoute: Sendable {
        let route: Route
        let chain: Chain
        let lines: Int
        let bytes: Int
        let tariff: RouteTariff

        init(_ route: Route, upstreams: [Upstream]) {
            self.route = route
            let stages = route.upstreams.map { upstreams[$0] }
            chain = Chain(stages.map(\.stage), collectMaxBytes: route.collectMaxBytes, requiresSpeech: route.requiresSpeech)
            let models = stages.filter { $0.stage.role == .respond }.map(\.configuration)
            tariff = RouteTariff(
                route: route.name,
                stages: stages.map { .init(role: $0.stage.role, upstream: $0.name, price: $0.configuration.price.price) })
            lines = models.map(\.historyMessages).max() ?? 0
            bytes = models.map(\.historyBytes).max() ?? 0
        }
    }

    let table: RouteTable
    /// The routes of ``table``, in the same order.
    let routes: [PlannedRoute]
    let upstreams: [Upstream]

    init(table: RouteTable, upstreams: [Upstream]) {
        self.table = table
        self.upstreams = upstreams
        routes = table.routes.map { PlannedRoute($0, upstreams: upstreams) }
    }
}

/// The current plan, and the upstreams of earlier plans that are to be retired.
final class UpstreamPlans: Sendable {
    private struct State {
        var plan: UpstreamPlan
        var retiring: [Upstream] = []
    }

    private let state: Mutex<State>

    init(_ plan: UpstreamPlan) { state = Mutex(State(plan: plan)) }

    var current: UpstreamPlan { state.withLock { $0.plan } }

    func replace(with plan: UpstreamPlan, retiring upstreams: [Upstream]) {
        state.withLock { state in
            state.plan = plan
            state.retiring += upstreams
        }
    }

    func takeRetiring() -> [Upstream] {
        state.withLock { state in
            defer { state.retiring = [] }
            return state.retiring
        }
    }
}
