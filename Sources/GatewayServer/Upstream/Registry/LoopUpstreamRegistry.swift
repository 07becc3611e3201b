// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The configured upstreams on one event loop, and the engines of its sessions' links.
final class LoopUpstreamRegistry: UpstreamLinkFactory {
    private let plans: UpstreamPlans
    private let upstreams: LoopUpstreams
    private var engines: [ObjectIdentifier: LinkEngine] = [:]
    private var isShutDown = false

    init(plans: UpstreamPlans, shared: RequestDeduplication, calls: CallContext) {
        self.plans = plans
        upstreams = LoopUpstreams(plans: plans, shared: shared, calls: calls)
    }

    func makeLink(for session: any UpstreamEventSink & ConversationSource, id: ULID) -> any UpstreamLink {
        guard !upstreams.plan.routes.isEmpty else { return LoopbackLink(session: session, id: id, tracer: upstreams.calls.tracer) }
        let engine = LinkEngine(session: id, upstreams: upstreams) { [weak self] in self?.engines[ObjectIdentifier($0)] = nil }
        engines[ObjectIdentifier(engine)] = engine
        return RoutedLink(engine: engine, session: session, plans: plans, eventLoop: upstreams.calls.eventLoop)
    }

    func tick(now: Instant) { upstreams.tick(now: now) }

    func reload() { upstreams.reload() }

    func shutDown() {
        guard !isShutDown else { return }
        isShutDown = true
        let all = engines
        engines = [:]
        for engine in all.values { engine.close(.drain) }
        upstreams.close()
    }
}
