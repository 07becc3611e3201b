// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import GatewayTLS
package import GatewayWebSocket
package import Logging
package import NIOCore

/// The state that the connections and sessions of one event loop share: clock, effects, scratch memory, queues, counters.
///
/// Not shared with other event loops: handling a message needs no lock.
package final class EventLoopState {
    package let eventLoop: any EventLoop
    package let shared: SharedGateway
    package private(set) var settings: GatewaySettings
    private let time = LoopTime()
    /// The effects of the current input. Its handler sends them by flushing.
    package var effects: Effects
    package var isHandlingInput: Bool { time.inputTime != nil }
    package var scanner: MessageScanner
    package let deflate = SharedDeflate()
    package let tls = TLSBuffers()
    /// The sessions that wait to issue demand.
    let demand: DemandQueue
    let delayedAcks: DelayedAckQueue
    /// Nil when sessions aren't stored.
    let commits: CommitQueue?
    /// The buffer for outbound frames, reused after each write, so that writing allocates nothing.
    package var output = ByteBuffer()
    /// The counters that sessions and connections increment.
    package var metrics: LoopMetrics {
        _read { yield effects.metrics }
        _modify { yield &effects.metrics }
    }
    /// Measurements of the event loop and its sessions as a whole.
    package let gauges = LoopGauges()
    package var throttle = LogThrottle<LogTopic>(lines: 10, per: .seconds(1))
    package let logger: Logger
    /// Nil when the audit log is off.
    package var audit: LoopAudit?
    let upstreams: any UpstreamLinkFactory
    /// The memory usage of this loop's sessions, in bytes; ``publishedMemory`` is the part published to ``SharedGateway``.
    var memory = 0
    var publishedMemory = 0
    /// When the current input began, on the monotonic clock, and the number of its messages so far.
    private var inputStart: Int64 = 0
    var inputMessages: UInt64 = 0
    /// The state of the upstream as of the last tick.
    private var upstreamState = UpstreamState.ready

    package init(eventLoop: any EventLoop, shared: SharedGateway, settings: GatewaySettings, seed: UInt64, logger: Logger) {
        self.eventLoop = eventLoop
        demand = DemandQueue(eventLoop: eventLoop)
        delayedAcks = DelayedAckQueue(eventLoop: eventLoop, now: { [time] in time.now })
        commits = shared.store.map { CommitQueue(eventLoop: eventLoop, store: $0) }
        self.shared = shared
        self.settings = settings
        self.logger = logger
        audit = shared.audit.map { LoopAudit(log: $0) }
        upstreams = shared.upstream.makeLinkFactory(on: eventLoop, now: { [time] in time.now })
        effects = Effects(ids: ULIDSource(seed: seed), showsDetails: settings.isDevelopment)
        scanner = MessageScanner(rules: settings.session.value.rules)
        if commits != nil { effects.batch = StoreBatch() }
    }

    package var clock: LoopClock {
        get { time.clock }
        _modify { yield &time.clock }
    }

    /// The time of the monotonic clock that all event loops share.
    var sharedNow: Instant { Instant(nanoseconds: clock.manual ?? LoopClock.monotonicNanoseconds()) }

    /// Begins handling an input: the time doesn't change until ``endInput()``. A nested input is part of the outer input.
    ///
    /// - Returns: whether this call began the input; then the caller must end it.
    package func beginInput() -> Bool {
        guard !isHandlingInput else { return false }
        let monotonic = clock.manual ?? LoopClock.monotonicNanoseconds()
        inputStart = monotonic
        effects.now = clock.now(monotonic: monotonic)
        time.inputTime = effects.now
        effects.sharedNow = Instant(nanoseconds: monotonic)
        effects.wall = LoopClock.wallMilliseconds()
        effects.upstream = upstreamState
        effects.memoryLeft = memoryLeft
        if commits != nil { effects.rejectsWork = !shared.acceptsWork }
        return true
    }

    package func endInput() {
        effects.clear()
        time.inputTime = nil
        if inputMessages > 0 { recordHandlingTime() }
    }

    /// Records the time of an input with messages. One clock reading for each read of a socket, however many messages it has.
    private func recordHandlingTime() {
        let elapsed = sharedNow.nanoseconds - inputStart
        metrics.handlingTime.record(elapsed / Int64(inputMessages), times: inputMessages)
        inputMessages = 0
    }

    /// Handles an input by calling `body`.
    func withInput(_ body: () -> Void) {
        let begun = beginInput()
        body()
        if begun { endInput() }
    }

    /// Advances the clock. Must be called every 100 ms.
    ///
    /// - Returns: the current time.
    func tick() -> Instant {
        upstreamState = shared.upstream.state
        if clock.tick() > 0 { logger.warning("the process was suspended; deadlines are extended") }
        return clock.now
    }

    func apply(_ settings: GatewaySettings) {
        self.settings = settings
        scanner = MessageScanner(rules: settings.session.value.rules)
        upstreams.reload()
    }
}
