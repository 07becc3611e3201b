package import GatewayCore
package import Logging
package import NIOCore

/// Everything that the connections of one event loop share: clock, scratch memory, counters, and the table of themselves.
///
/// Shared nothing between loops: no lock is taken on the way of a message.
package final class LoopContext {
    package let eventLoop: any EventLoop
    package let shared: SharedGateway
    package private(set) var settings: GatewaySettings
    private let time = LoopTime()
    /// The turn in progress; whoever handles an event of the loop begins it and ends it by flushing.
    package var turn: Effects
    package var isInTurn: Bool { time.turn != nil }
    package var scanner: MessageScanner
    package let deflate = SharedDeflate()
    package let tls = TLSBuffers()
    let helpings: HelpingQueue
    let gathering: GatheringQueue
    /// Frames on their way out. Handed to the pipeline and taken up again, so that writing allocates nothing.
    package var output = ByteBuffer()
    package var counters = LoopCounters()
    package var throttle = LogThrottle<LogTopic>(lines: 10, per: .seconds(1))
    package let logger: Logger
    private var connections: [Connection] = []
    let upstreams: any UpstreamLoop
    /// Those with a connection and those without.
    private(set) var sessions: [ULID: SessionDriver] = [:]
    /// Sessions are stored.
    let isStoring: Bool
    /// What ``SessionRegistry`` knows this loop by.
    private(set) var number = 0
    /// What waits for the store on this loop.
    var commits = CommitQueue()
    /// Bytes that the sessions of this loop hold, and the part of them that ``SharedGateway`` knows.
    var memory = 0
    var memoryReported = 0
    /// Requests for sessions that are on their way to this loop.
    var arrivals: [ULID: [() -> Void]] = [:]
    /// As of the last tick.
    private var upstreamState = UpstreamState.ready
    private var nextWeighing: Instant
    private var nextSweep: Instant
    private var nextLook: Instant

    /// Ticks are this far apart; deadlines act within 100 ms.
    package static let tickInterval = TimeAmount.milliseconds(100)

    package init(eventLoop: any EventLoop, shared: SharedGateway, settings: GatewaySettings, seed: UInt64, logger: Logger) {
        self.eventLoop = eventLoop
        helpings = HelpingQueue(eventLoop: eventLoop)
        gathering = GatheringQueue(eventLoop: eventLoop, now: { [time] in time.now })
        self.shared = shared
        self.settings = settings
        self.logger = logger
        upstreams = shared.upstream.makeLoop(on: eventLoop, now: { [time] in time.now })
        turn = Effects(ids: ULIDSource(seed: seed), showsDetails: settings.isDevelopment)
        scanner = MessageScanner(rules: settings.session.value.rules)
        nextWeighing = time.now
        nextSweep = nextWeighing
        nextLook = nextWeighing
        isStoring = shared.store != nil
        if isStoring { turn.batch = StoreBatch() }
        number = shared.add(self)
    }

    package var clock: LoopClock {
        get { time.clock }
        _modify { yield &time.clock }
    }

    /// Takes the time for everything that happens until ``endTurn()``. A turn inside a turn is the same one.
    ///
    /// - Returns: whether this call began it, and so has to end it.
    package func beginTurn() -> Bool {
        guard !isInTurn else { return false }
        let monotonic = clock.manual ?? LoopClock.monotonicNanoseconds()
        turn.now = clock.now(monotonic: monotonic)
        time.turn = turn.now
        turn.sharedNow = Instant(nanoseconds: monotonic)
        turn.wall = LoopClock.wallMilliseconds()
        turn.upstream = upstreamState
        turn.memoryLeft = memoryLeft
        if isStoring, let store = shared.store { turn.refusesWork = !store.takesWork }
        return true
    }

    package func endTurn() {
        turn.clear()
        time.turn = nil
    }

    package func add(_ connection: Connection) {
        connection.index = connections.count
        connections.append(connection)
        counters.accepted &+= 1
    }

    package func remove(_ connection: Connection) {
        guard connection.index < connections.count, connections[connection.index] === connection else { return }
        let last = connections.removeLast()
        guard last !== connection else { return }
        last.index = connection.index
        connections[last.index] = last
    }

    package var isEmpty: Bool { connections.isEmpty }

    /// Everything that falls due on this loop. Called every ``tickInterval``.
    package func tick() {
        upstreamState = shared.upstream.state
        if clock.tick() > 0 { logger.warning("the process was suspended; deadlines are moved") }
        let now = clock.now
        // A connection that ends takes itself out of the table; the last one moves into its place and waits for the next tick.
        var index = 0
        while index < connections.count {
            let connection = connections[index]
            if connection.deadline <= now { act(on: connection, now: now) }
            index += 1
        }
        upstreams.tick(now: now)
        if now >= nextLook { lookAfterDetached(now: now) }
        if now >= nextWeighing { weigh(now: now) }
        if now >= nextSweep { sweep(now: now) }
    }

    private func act(on connection: Connection, now: Instant) {
        switch connection.phase {
        case .webSocket:
            connection.deadline = now.advanced(byNanoseconds: settings.restInterval)
            connection.socket?.tick()
        case .handshake:
            connection.ended(reason: "tls handshake timeout")
            connection.abort()
        case .head:
            connection.ended(reason: "request head timeout")
            connection.abort()
        case .lingering:
            if let socket = connection.socket { socket.lingered() } else { connection.abort() }
        }
    }

    private static let lookInterval: Int64 = 500_000_000

    /// Half a second apart: their deadlines act within one.
    private func lookAfterDetached(now: Instant) {
        let passed = max(0, now.nanoseconds(since: nextLook)) + Self.lookInterval
        nextLook = now.advanced(byNanoseconds: Self.lookInterval)
        let isFailing = shared.store?.takesWork == false
        for session in sessions.values where !session.isAttached {
            if isFailing { session.postponeExpiry(byNanoseconds: passed) }
            session.tickDetached(now: now)
            session.wantHelping()
        }
    }

    /// Adds up what sessions hold, and has memory freed when it is too much.
    private func weigh(now: Instant) {
        nextWeighing = now.advanced(byNanoseconds: 1_000_000_000)
        for session in sessions.values { session.account() }
        publishMemory()
        for (topic, suppressed) in throttle.collect(now: now) {
            logger.info("log lines suppressed", metadata: ["topic": "\(topic)", "suppressed": .stringConvertible(suppressed)])
        }
        if isShortOfMemory { relieveMemory() }
    }

    /// Forgets what expired. Nothing depends on when: deadlines act by themselves.
    private func sweep(now: Instant) {
        nextSweep = now.advanced(byNanoseconds: settings.sweepInterval)
        let shared = Instant(nanoseconds: LoopClock.monotonicNanoseconds())
        self.shared.occupancy.sweep(now: shared)
        self.shared.limiters.sweep(now: shared)
    }

    package func apply(_ settings: GatewaySettings) {
        self.settings = settings
        scanner = MessageScanner(rules: settings.session.value.rules)
        upstreams.reload()
        for session in sessions.values { session.apply(settings) }
    }

    func add(_ session: SessionDriver) {
        sessions[session.session.id] = session
        session.account()
    }

    func remove(_ session: SessionDriver) {
        guard sessions.removeValue(forKey: session.session.id) != nil else { return }
        account(-session.accounted)
        session.accounted = 0
    }

    /// Tells every client to finish up.
    package func goAway(reason: StaticString, deadlineMilliseconds: Int64) {
        for connection in connections { connection.socket?.goAway(reason: reason, deadlineMilliseconds: deadlineMilliseconds) }
    }

    package func closeAll(_ closing: Closing) {
        for connection in connections {
            if let socket = connection.socket { socket.close(closing) } else { connection.abort() }
        }
    }

    package func abortAll() {
        for connection in connections { connection.abort() }
    }

    /// Counts an error, and logs it unless the like of it floods the log.
    package func record(_ error: GatewayError, connection: ULID?, session: ULID?) {
        counters.errors[error.code, default: 0] &+= 1
        let level: Logger.Level = error.source == .client ? .info : .warning
        guard logger.logLevel <= level, case .write(let suppressed) = throttle.admit(.clientError, now: turn.now) else { return }
        var metadata: Logger.Metadata = [
            "code": "\(error.code.rawValue)", "source": "\(error.source.rawValue)", "correlation_id": "\(error.correlationID)",
        ]
        if let connection { metadata["connection_id"] = "\(connection)" }
        if let session { metadata["session_id"] = "\(session)" }
        if let param = error.param { metadata["param"] = "\(param)" }
        if let id = error.replyTo { metadata["reply_to"] = "\(id)" }
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        logger.log(level: level, "error sent", metadata: metadata)
    }
}
