package import GatewayCore
package import GatewayTLS
package import GatewayWebSocket
package import Logging
package import NIOCore

/// The state that the connections and sessions of one event loop share: clock, effects, scratch memory, queues, counters.
///
/// Nothing of it is shared with other loops: handling a message takes no lock.
package final class EventLoopState {
    package let eventLoop: any EventLoop
    package let shared: SharedGateway
    package private(set) var settings: GatewaySettings
    private let time = LoopTime()
    /// The turn in progress. The handler of an event begins it, and ends it by flushing.
    package var turn: Effects
    package var isInTurn: Bool { time.turn != nil }
    package var scanner: MessageScanner
    package let deflate = SharedDeflate()
    package let tls = TLSBuffers()
    /// Sessions that ask their upstreams for more events.
    let demand: DemandQueue
    let delayedAcks: DelayedAckQueue
    /// Nil when sessions live in memory only.
    let commits: CommitQueue?
    /// Frames on their way out. Handed to the pipeline and taken up again, so that writing allocates nothing.
    package var output = ByteBuffer()
    package var counters = LoopCounters()
    package var throttle = LogThrottle<LogTopic>(lines: 10, per: .seconds(1))
    package let logger: Logger
    let upstreams: any UpstreamLoop
    /// Bytes that the sessions of this loop hold, and the part of them that ``SharedGateway`` knows.
    var memory = 0
    var memoryReported = 0
    /// As of the last tick.
    private var upstreamState = UpstreamState.ready

    package init(eventLoop: any EventLoop, shared: SharedGateway, settings: GatewaySettings, seed: UInt64, logger: Logger) {
        self.eventLoop = eventLoop
        demand = DemandQueue(eventLoop: eventLoop)
        delayedAcks = DelayedAckQueue(eventLoop: eventLoop, now: { [time] in time.now })
        commits = shared.store.map { CommitQueue(eventLoop: eventLoop, store: $0) }
        self.shared = shared
        self.settings = settings
        self.logger = logger
        upstreams = shared.upstream.makeLoop(on: eventLoop, now: { [time] in time.now })
        turn = Effects(ids: ULIDSource(seed: seed), showsDetails: settings.isDevelopment)
        scanner = MessageScanner(rules: settings.session.value.rules)
        if commits != nil { turn.batch = StoreBatch() }
    }

    package var clock: LoopClock {
        get { time.clock }
        _modify { yield &time.clock }
    }

    /// The time on the clock that all event loops share.
    var sharedNow: Instant { Instant(nanoseconds: clock.manual ?? LoopClock.monotonicNanoseconds()) }

    /// Reads the time for everything that happens until ``endTurn()``. A turn inside a turn is the same one.
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
        if commits != nil, let store = shared.store { turn.refusesWork = !store.takesWork }
        return true
    }

    package func endTurn() {
        turn.clear()
        time.turn = nil
    }

    /// Performs `body` within a turn.
    func withTurn(_ body: () -> Void) {
        let begun = beginTurn()
        body()
        if begun { endTurn() }
    }

    /// Moves the clock on. To be called every 100 ms.
    ///
    /// - Returns: the time.
    func tick() -> Instant {
        upstreamState = shared.upstream.state
        if clock.tick() > 0 { logger.warning("the process was suspended; deadlines are moved") }
        return clock.now
    }

    func apply(_ settings: GatewaySettings) {
        self.settings = settings
        scanner = MessageScanner(rules: settings.session.value.rules)
        upstreams.reload()
    }
}
