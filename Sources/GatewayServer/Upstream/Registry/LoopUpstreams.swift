// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The current plan and the transports of its upstreams, on one event loop.
final class LoopUpstreams {
    let calls: CallContext
    let shared: RequestDeduplication
    private let plans: UpstreamPlans
    private var transports: [ObjectIdentifier: (upstream: Upstream, transport: any UpstreamTransport)] = [:]
    /// The plan that this event loop uses. Changes with ``reload()``.
    private(set) var plan: UpstreamPlan
    /// The stages of each route of ``plan``, made for the route's first request.
    private var stages: [UpstreamStages?]

    init(plans: UpstreamPlans, shared: RequestDeduplication, calls: CallContext) {
        self.plans = plans
        self.shared = shared
        self.calls = calls
        plan = plans.current
        stages = Array(repeating: nil, count: plan.routes.count)
    }

    func stages(of route: Int, in plan: UpstreamPlan) -> UpstreamStages {
        let isCurrent = plan === self.plan
        if isCurrent, let known = stages[route] { return known }
        let planned = plan.routes[route]
        let made = UpstreamStages(
            planned.chain,
            planned.route.upstreams.map { number in
                let upstream = plan.upstreams[number]
                return UpstreamStage(pool: upstream.pool, policy: upstream.policy, transport: transport(of: upstream))
            })
        // Around a reload, a session on another event loop may use an older or newer plan.
        if isCurrent { stages[route] = made }
        return made
    }

    private func transport(of upstream: Upstream) -> any UpstreamTransport {
        if let known = transports[ObjectIdentifier(upstream)] { return known.transport }
        let transport = upstream.service.makeTransport(on: calls)
        transports[ObjectIdentifier(upstream)] = (upstream, transport)
        return transport
    }

    func tick(now: Instant) {
        calls.tick(now: now)
        for entry in transports.values { entry.transport.tick(now: now) }
    }

    func reload() {
        plan = plans.current
        stages = Array(repeating: nil, count: plan.routes.count)
        for (id, entry) in transports where !plan.upstreams.contains(where: { $0 === entry.upstream }) {
            entry.transport.retire()
            transports[id] = nil
        }
    }

    func close() {
        for entry in transports.values { entry.transport.close() }
        transports = [:]
    }
}
