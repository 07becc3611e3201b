// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import NIOCore
import NIOEmbedded
import Support
import Synchronization
import Testing

@testable import GatewayServer

/// Requests to a simulated upstream, on an event loop and a clock that the test advances.
final class CallHarness {
    /// One attempt as the upstream sees it.
    final class Attempt: UpstreamAttempt {
        let request: UpstreamRequest
        let endpoint: Int
        let reporter: AttemptReporter
        var chunks: [[UInt8]] = []
        /// Whether the upstream consumes audio immediately.
        var consumesAudio = true
        var hasInputEnded = false
        var isPaused = false
        var cancelled: CancelReason?
        var played: Int64?

        init(_ request: UpstreamRequest, endpoint: Int, reporter: AttemptReporter) {
            self.request = request
            self.endpoint = endpoint
            self.reporter = reporter
        }

        func send(_ chunk: [UInt8]) {
            chunks.append(chunk)
            if consumesAudio { reporter.consumed(chunk.count) }
        }
        func endInput() { hasInputEnded = true }
        func pause() { isPaused = true }
        func resume() { isPaused = false }
        func cancel(_ reason: CancelReason, playedMilliseconds: Int64?) { (cancelled, played) = (reason, playedMilliseconds) }

        func respond(_ text: String) { reporter.received(.text(Array(text.utf8), final: false)) }
        func end(_ text: String = "") { reporter.received(last: .text(Array(text.utf8), final: true), summary: ResponseSummary()) }
    }

    private final class Transport: UpstreamTransport {
        weak var harness: CallHarness?

        func makeAttempt(_ request: borrowing UpstreamRequest, endpoint: Int, reporter: AttemptReporter) -> any UpstreamAttempt {
            let attempt = Attempt(copy request, endpoint: endpoint, reporter: reporter)
            harness?.attempts.append(attempt)
            harness?.onAttempt(attempt)
            return attempt
        }
    }

    /// The owner of a request and its events: the text of a delta, `consumed 3`, `end`, or an error code.
    final class Owner: UpstreamEventSink {
        struct Failure {
            var code: ErrorCode
            var isRetryable: Bool
            /// Milliseconds.
            var retryAfter: Int64?
            var correlationID: ULID?
        }

        var events: [String] = []
        /// Bytes of the request's text that were consumed.
        var consumedText = 0
        var failure: Failure?
        var timing: CallTiming?
        var call: ActiveRequest?
        private let isStreamed: Bool

        init(isStreamed: Bool) { self.isStreamed = isStreamed }

        func deliver(_ event: consuming UpstreamEvent) -> Bool {
            switch event.content {
            case .text(let text, _):
                if !text.isEmpty { events.append(String(decoding: text, as: UTF8.self)) }
            case .failure(let reason, let retryAfter, let isRetryable):
                events.append(reason.code.rawValue)
                failure = Failure(
                    code: reason.code, isRetryable: isRetryable ?? true, retryAfter: retryAfter,
                    correlationID: event.epilogue?.correlationID)
            default: break
            }
            guard event.isLast else { return true }
            timing = event.epilogue?.timing
            if failure == nil { events.append("end") }
            return true
        }

        func consumed(_ bytes: Int) {
            // When the request ends, the rest of its input is reported as consumed as well.
            guard call?.isEnded != true else { return }
            if isStreamed { events.append("consumed \(bytes)") } else { consumedText += bytes }
        }

        var isEnded: Bool { ["end", "upstream_error", "upstream_timeout", "upstream_unavailable"].contains(events.last) }
    }

    let eventLoop = EmbeddedEventLoop()
    let pool: UpstreamPool
    /// Lines of the log as `message key=value …`, sorted by key.
    var log: [String] { recorder.lines }
    private(set) var loop: CallContext
    private let transport = Transport()
    private let recorder = LogRecorder()
    var policy = CallPolicy()
    var attempts: [Attempt] = []
    var onAttempt: (Attempt) -> Void = { $0.reporter.requestSent() }

    init(endpoints: Int = 1, permits: Int = .max, queue: Int = 0, _ change: (inout UpstreamPool.Policy) -> Void = { _ in }) {
        var policy = UpstreamPool.Policy()
        (policy.permits, policy.queue, policy.retryShare) = (permits, queue, 1)
        change(&policy)
        let clock = Clock()
        self.clock = clock
        let recorder = recorder
        pool = UpstreamPool(
            name: "test", addresses: (0..<endpoints).map { "endpoint \($0)" }, policy: policy,
            logger: Logger(label: "test", factory: { _ in recorder }), clock: { clock.now })
        self.policy.timeouts.waiting = .seconds(1)
        self.policy.timeouts.connect = .seconds(1)
        self.policy.timeouts.firstByte = .seconds(2)
        self.policy.timeouts.betweenBytes = .seconds(3)
        self.policy.timeouts.total = .seconds(10)
        loop = CallContext(eventLoop: eventLoop, clock: { clock.now })
        transport.harness = self
    }

    private final class Clock: Sendable {
        private let nanoseconds = Atomic<Int64>(1_000_000_000_000)
        var now: Instant { Instant(nanoseconds: nanoseconds.load(ordering: .relaxed)) }
        func advance(by amount: Int64) { nanoseconds.add(amount, ordering: .relaxed) }
    }

    private let clock: Clock

    /// Advances time in ticks of 100 ms.
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

    func request(_ text: String? = "hello", id: String = "m1") throws -> UpstreamRequest {
        let id = try #require(Array(id.utf8).withRawSpan { MessageID($0) })
        var request = UpstreamRequest(
            key: RequestKey(number: 1), id: id,
            input: text.map { .text(Array($0.utf8)) } ?? .audio(AudioFormat(codec: .pcm16, rate: 16_000, channels: 1)), lang: nil,
            stream: true, output: .init(), meta: [])
        request.session = ULID(high: 1, low: 2)
        request.route = "all"
        return request
    }

    @discardableResult
    func call(_ text: String? = "hello") throws -> Owner {
        let owner = Owner(isStreamed: text == nil)
        let stages = UpstreamStages(Chain([.init(role: .any)]), [UpstreamStage(pool: pool, policy: policy, transport: transport)])
        let call = ActiveRequest(try request(text), stages: stages, loop: loop, sink: owner)
        call.input = owner
        owner.call = call
        call.begin()
        return owner
    }

    /// Whether all permits, endpoints and calls are released.
    var isFullyReleased: Bool {
        let now = pool.snapshot()
        return now.active == 0 && now.waiting == 0 && now.endpoints.allSatisfy { $0.outstanding == 0 } && loop.count == 0
    }
}
