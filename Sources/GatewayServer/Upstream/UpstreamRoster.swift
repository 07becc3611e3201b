package import GatewayCore
package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization

/// The configured upstreams and the routes to them. A reload replaces what has changed: requests go on where they are, new ones go by the new plan.
package final class UpstreamRoster: UpstreamProvider, Service {
    /// What is in force. Never changed once made.
    final class Plan: Sendable {
        let table: RouteTable
        /// Those of ``table``.
        let routes: [PlannedRoute]
        let upstreams: [Upstream]

        init(table: RouteTable, upstreams: [Upstream]) {
            self.table = table
            self.upstreams = upstreams
            routes = table.routes.map { PlannedRoute($0, upstreams: upstreams) }
        }
    }

    /// A route, and how much of the conversation goes along with its requests.
    final class PlannedRoute: Sendable {
        let route: Route
        let lines: Int
        let bytes: Int

        init(_ route: Route, upstreams: [Upstream]) {
            self.route = route
            let models = route.upstreams.map { upstreams[$0] }.filter { $0.role == .model }.map(\.configuration)
            lines = models.map(\.historyMessages).max() ?? 0
            bytes = models.map(\.historyBytes).max() ?? 0
        }
    }

    private struct State {
        var plan: Plan
        /// Replaced, to be retired.
        var retiring: [Upstream] = []
    }

    private let box: Mutex<State>
    private let clock: @Sendable () -> Instant
    private let logger: Logger
    private let group: any EventLoopGroup
    private let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation
    let shared = SharedAnswers()

    /// - Parameter clock: the same for all event loops
    package init(
        _ configuration: GatewayConfiguration, group: any EventLoopGroup, logger: Logger,
        clock: @escaping @Sendable () -> Instant = UpstreamPool.monotonic
    ) throws {
        self.clock = clock
        self.logger = logger
        self.group = group
        box = Mutex(State(plan: try Self.plan(configuration, keeping: [], group: group, logger: logger, clock: clock)))
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    var plan: Plan { box.withLock { $0.plan } }

    /// Takes over what a reload has changed. Throws, and changes nothing, when certificates can't be read.
    package func apply(_ configuration: GatewayConfiguration) throws {
        let old = plan
        let new = try Self.plan(configuration, keeping: old.upstreams, group: group, logger: logger, clock: clock)
        let kept = Set(new.upstreams.map { ObjectIdentifier($0) })
        for upstream in new.upstreams { upstream.target.pool.resetBreakers(because: "configuration reloaded") }
        box.withLock { state in
            state.plan = new
            state.retiring += old.upstreams.filter { !kept.contains(ObjectIdentifier($0)) }
        }
        changed.yield()
    }

    private static func plan(
        _ configuration: GatewayConfiguration, keeping old: [Upstream], group: any EventLoopGroup, logger: Logger,
        clock: @escaping @Sendable () -> Instant
    ) throws -> Plan {
        let names = configuration.upstreams.keys.sorted()
        let upstreams = try names.map { name in
            let wanted = configuration[upstream: name]
            if let same = old.first(where: { $0.name == name && $0.configuration == wanted }),
                same.credentials == ConfigurationFingerprint(of: wanted.credentialFiles)
            {
                return same
            }
            return try Upstream(name: name, wanted, group: group, logger: logger, clock: clock)
        }
        let routes = configuration.routes.sorted { $0.key < $1.key }.map { name, wanted in
            Route(name: name, wanted, numbers: names, roles: upstreams.map(\.role))
        }
        return Plan(table: RouteTable(routes), upstreams: upstreams)
    }

    // MARK: As event loops and operators see it

    package func makeLoop(on eventLoop: any EventLoop, now: @escaping () -> Instant) -> any UpstreamLoop {
        RosterLoop(roster: self, calls: CallLoop(eventLoop: eventLoop, clock: now))
    }

    package var paths: Set<String> { Set(plan.table.routes.compactMap(\.path)) }

    package var statistics: [UpstreamStatistics] { plan.upstreams.map(\.statistics) }

    /// Closes the breakers of an upstream.
    ///
    /// - Returns: its figures afterwards; nil when there is no upstream of that name.
    package func reset(_ name: String) -> UpstreamStatistics? {
        guard let upstream = plan.upstreams.first(where: { $0.name == name }) else { return nil }
        upstream.target.pool.resetBreakers(because: "an operator asked")
        return upstream.statistics
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            await withDiscardingTaskGroup { group in
                var running: Set<ObjectIdentifier> = []
                func begin() {
                    for upstream in plan.upstreams where running.insert(ObjectIdentifier(upstream)).inserted {
                        group.addTask { await upstream.service.run() }
                    }
                }
                begin()
                for await _ in changes {
                    begin()
                    for upstream in takeRetiring() {
                        running.remove(ObjectIdentifier(upstream))
                        group.addTask { await upstream.service.retire() }
                    }
                }
                group.cancelAll()
            }
        }
    }

    private func takeRetiring() -> [Upstream] {
        box.withLock { state in
            defer { state.retiring = [] }
            return state.retiring
        }
    }
}

extension UpstreamRoster {
    /// Of an upstream, none takes requests: unavailable. Some don't: degraded.
    package var state: UpstreamState {
        var worst = UpstreamState.ready
        for upstream in plan.upstreams {
            switch upstream.target.pool.condition {
            case .ready: break
            case .degraded: if worst == .ready { worst = .degraded }
            case .unavailable: worst = .unavailable
            }
        }
        return worst
    }
}

extension Route {
    init(name: String, _ configuration: GatewayConfiguration.Route, numbers: [String], roles: [GatewayConfiguration.Upstream.Role]) {
        self.init(name: name)
        self.upstreams = configuration.upstreams.compactMap { numbers.firstIndex(of: $0) }
        let roles = self.upstreams.map { roles[$0] }
        switch configuration.type {
        case .text: inputs = [.text]
        case .audio: inputs = [.audio]
        // What it can be given.
        case .any where roles == [.recogniser]: inputs = [.audio]
        case .any where roles.first == .model || roles.first == .speaker: inputs = [.text]
        case .any: inputs = []
        }
        path = configuration.path.isEmpty ? nil : configuration.path
        meta = configuration.meta.map { MetaEntry(key: Array($0.key.utf8), value: Array($0.value.utf8)) }
        sharing = configuration.dedupe
        dedupeKey = configuration.dedupeKey.isEmpty ? nil : Array(configuration.dedupeKey.utf8)
        collectMaxBytes = GatewaySizes.orOff(configuration.collectMaxBytes)
        failsWithSpeech = configuration.speechFailures == .fail
    }
}

/// The upstreams as one event loop has them.
final class RosterLoop: UpstreamLoop {
    let roster: UpstreamRoster
    let calls: CallLoop
    private var makers: [ObjectIdentifier: (upstream: Upstream, maker: any ServiceLoop)] = [:]
    private var engines: [ObjectIdentifier: LinkEngine] = [:]
    private var isShutDown = false
    /// In force, as far as this event loop has heard.
    private(set) var plan: UpstreamRoster.Plan
    /// Of each route of ``plan`` that was asked for.
    private var stages: [[RequestPipeline.Stage]?]

    init(roster: UpstreamRoster, calls: CallLoop) {
        self.roster = roster
        self.calls = calls
        plan = roster.plan
        stages = Array(repeating: nil, count: plan.routes.count)
    }

    func makeLink(for receiver: any UpstreamReceiver, session: ULID) -> any UpstreamLink {
        guard !plan.routes.isEmpty else { return LoopbackLink(receiver: receiver) }
        let engine = LinkEngine(session: session, loop: self)
        return RoutedLink(engine: engine, receiver: receiver, roster: roster, eventLoop: calls.eventLoop)
    }

    /// The upstreams of a route, as this event loop has them.
    func stages(of route: Int, in plan: UpstreamRoster.Plan) -> [RequestPipeline.Stage] {
        let isCurrent = plan === self.plan
        if isCurrent, let known = stages[route] { return known }
        let made = plan.routes[route].route.upstreams.map { number in
            RequestPipeline.Stage(plan.upstreams[number], maker: maker(of: plan.upstreams[number]))
        }
        // A session elsewhere may know of a reload before this event loop does, or after.
        if isCurrent { stages[route] = made }
        return made
    }

    func maker(of upstream: Upstream) -> any ServiceLoop {
        if let known = makers[ObjectIdentifier(upstream)] { return known.maker }
        let maker = upstream.service.makeMaker(on: calls)
        makers[ObjectIdentifier(upstream)] = (upstream, maker)
        return maker
    }

    func add(_ engine: LinkEngine) { engines[ObjectIdentifier(engine)] = engine }

    func remove(_ engine: LinkEngine) { engines[ObjectIdentifier(engine)] = nil }

    func tick(now: Instant) {
        calls.tick(now: now)
        for entry in makers.values { entry.maker.tick(now: now) }
    }

    func reload() {
        plan = roster.plan
        stages = Array(repeating: nil, count: plan.routes.count)
        for (id, entry) in makers where !plan.upstreams.contains(where: { $0 === entry.upstream }) {
            entry.maker.retire()
            makers[id] = nil
        }
    }

    func shutDown() {
        guard !isShutDown else { return }
        isShutDown = true
        for engine in engines.values { engine.close(.drain) }
        engines = [:]
        for entry in makers.values { entry.maker.close() }
        makers = [:]
    }
}
