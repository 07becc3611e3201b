import GatewayCore
import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import GatewayServer

/// Calls to an upstream that a test plays, on an event loop and a clock that are moved by hand.
final class CallHarness {
    /// One attempt as the upstream sees it.
    final class Attempt: UpstreamAttempt {
        let order: CallOrder
        let endpoint: Int
        let receiver: any AttemptReceiver
        var chunks: [[UInt8]] = []
        /// Whether it takes audio.
        var takesAudio = true
        var hasInputEnded = false
        var isPaused = false
        var cancelled: CancelReason?
        var played: Int64?

        init(_ order: CallOrder, endpoint: Int, receiver: any AttemptReceiver) {
            self.order = order
            self.endpoint = endpoint
            self.receiver = receiver
        }

        func send(_ chunk: [UInt8]) {
            chunks.append(chunk)
            if takesAudio { receiver.took(chunk.count) }
        }
        func endInput() { hasInputEnded = true }
        func pause() { isPaused = true }
        func resume() { isPaused = false }
        func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) { (cancelled, played) = (reason, playedMilliseconds) }

        func say(_ text: String) { receiver.received(.text(Array(text.utf8), final: false)) }
        func end(_ text: String = "") { receiver.received(last: .text(Array(text.utf8), final: true), summary: AnswerSummary()) }
    }

    private final class Maker: AttemptMaker {
        weak var harness: CallHarness?

        func makeAttempt(_ order: CallOrder, endpoint: Int, receiver: any AttemptReceiver) -> any UpstreamAttempt {
            let attempt = Attempt(order, endpoint: endpoint, receiver: receiver)
            harness?.attempts.append(attempt)
            harness?.onAttempt(attempt)
            return attempt
        }
    }

    /// What its owner hears of a call: `text`, `took 3`, `end`, `upstream_error`.
    final class Owner: CallOwner {
        var heard: [String] = []
        /// Bytes of its text that are on their way.
        var takenText = 0
        var failure: CallFailure?
        var timing: CallTiming?
        var call: UpstreamCall?

        private func hear(_ content: UpstreamEvent.Content) {
            if case .text(let text, _) = content, !text.isEmpty { heard.append(String(decoding: text, as: UTF8.self)) }
        }

        func call(_ call: UpstreamCall, received content: consuming UpstreamEvent.Content) { hear(content) }

        func call(_ call: UpstreamCall, received content: consuming UpstreamEvent.Content, summary: AnswerSummary, timing: CallTiming) {
            hear(content)
            heard.append("end")
            self.timing = timing
        }

        func call(_ call: UpstreamCall, took bytes: Int) {
            if call.order.isStreamed { heard.append("took \(bytes)") } else { takenText += bytes }
        }

        func call(_ call: UpstreamCall, failed failure: CallFailure, timing: CallTiming) {
            heard.append(failure.code.rawValue)
            self.failure = failure
            self.timing = timing
        }

        var isOver: Bool { ["end", "upstream_error", "upstream_timeout", "upstream_unavailable"].contains(heard.last) }
    }

    let eventLoop = EmbeddedEventLoop()
    let pool: UpstreamPool
    private(set) var loop: CallLoop
    private let maker = Maker()
    var policy = CallPolicy()
    var attempts: [Attempt] = []
    var onAttempt: (Attempt) -> Void = { $0.receiver.connected() }

    init(endpoints: Int = 1, places: Int = .max, line: Int = 0, _ change: (inout UpstreamPool.Policy) -> Void = { _ in }) {
        var policy = UpstreamPool.Policy()
        (policy.places, policy.line, policy.retryShare) = (places, line, 1)
        change(&policy)
        let clock = Clock()
        self.clock = clock
        pool = UpstreamPool(
            name: "test", addresses: (0..<endpoints).map { "endpoint \($0)" }, policy: policy,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), clock: { clock.now })
        self.policy.timeouts.waiting = 1_000_000_000
        self.policy.timeouts.connect = 1_000_000_000
        self.policy.timeouts.firstByte = 2_000_000_000
        self.policy.timeouts.betweenBytes = 3_000_000_000
        self.policy.timeouts.total = 10_000_000_000
        loop = CallLoop(eventLoop: eventLoop, clock: { clock.now })
        maker.harness = self
    }

    private final class Clock: Sendable {
        private let nanoseconds = Atomic<Int64>(1_000_000_000_000)
        var now: Instant { Instant(nanoseconds: nanoseconds.load(ordering: .relaxed)) }
        func advance(by amount: Int64) { nanoseconds.add(amount, ordering: .relaxed) }
    }

    private let clock: Clock

    /// Lets time pass in ticks of 100 ms.
    func advance(milliseconds: Int64) {
        var left = milliseconds
        while left > 0 {
            let step = min(left, 100)
            clock.advance(by: step * 1_000_000)
            left -= step
            eventLoop.advanceTime(by: .milliseconds(step))
            loop.tick(now: clock.now)
            eventLoop.run()
        }
    }

    func order(_ text: String? = "hello", id: String = "m1") throws -> CallOrder {
        let id = try #require(Array(id.utf8).withRawSpan { MessageID($0) })
        return CallOrder(
            session: ULID(high: 1, low: 2), id: id, route: "all",
            input: text.map { .text(Array($0.utf8)) } ?? .stream(AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)), lang: nil,
            stream: true, output: .init(), meta: [], conversation: [])
    }

    @discardableResult
    func call(_ text: String? = "hello") throws -> Owner {
        let owner = Owner()
        let call = UpstreamCall(try order(text), target: CallTarget(pool: pool, policy: policy), maker: maker, loop: loop, owner: owner)
        owner.call = call
        call.begin()
        return owner
    }

    /// Nothing is left: no place, no endpoint, no call.
    var isClean: Bool {
        let now = pool.snapshot()
        return now.active == 0 && now.waiting == 0 && now.endpoints.allSatisfy { $0.outstanding == 0 } && loop.count == 0
    }
}
