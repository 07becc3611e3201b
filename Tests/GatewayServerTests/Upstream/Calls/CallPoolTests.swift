// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import Support
import Testing

@testable import GatewayServer

/// Calls with the pool of their upstream: permits, queue, breaker, statistics.
@Suite struct CallPoolTests {
    /// Makes requests that fail one after another.
    private func fail(_ harness: CallHarness, times: Int) throws {
        for _ in 0..<times {
            try harness.call()
            harness.attempts.last?.reporter.failed(.incompleteResponse())
        }
    }

    // MARK: The breaker

    @Test func `a new pool is ready with a closed breaker`() throws {
        let harness = CallHarness()
        #expect(harness.pool.snapshot().states == [.closed])
        #expect(harness.pool.condition == .ready)
        let owner = try harness.call()
        harness.attempts[0].end("hi")
        #expect(owner.events == ["hi", "end"])
    }

    @Test func `five consecutive failures open the breaker; further requests fail immediately with a retry time`() throws {
        let harness = CallHarness()
        try fail(harness, times: 5)
        #expect(harness.pool.snapshot().states == [.open])
        let owner = try harness.call()
        #expect(owner.events == ["upstream_unavailable"])
        #expect(owner.failure?.retryAfter == 60_000)
        #expect(harness.attempts.count == 5)
        #expect(harness.isFullyReleased)
    }

    @Test func `an open breaker admits a single probe after its open duration`() throws {
        let harness = CallHarness()
        try fail(harness, times: 5)
        harness.advance(milliseconds: 60_000)
        #expect(harness.pool.snapshot().states == [.halfOpen])
        try harness.call()
        #expect(harness.attempts.count == 6)
        // While the probe is in flight, other requests are rejected.
        #expect(try harness.call().events == ["upstream_unavailable"])
    }

    @Test func `a successful probe closes the breaker`() throws {
        let harness = CallHarness()
        try fail(harness, times: 5)
        harness.advance(milliseconds: 60_000)
        try harness.call()
        harness.attempts[5].end()
        #expect(harness.pool.snapshot().states == [.closed])
        #expect(harness.pool.condition == .ready)
    }

    @Test func `a failed probe opens the breaker again; its failure has a retry time`() throws {
        let harness = CallHarness()
        try fail(harness, times: 5)
        harness.advance(milliseconds: 60_000)
        let owner = try harness.call()
        harness.attempts[5].reporter.failed(.incompleteResponse())
        #expect(harness.pool.snapshot().states == [.open])
        // The retry time is the new open duration.
        #expect(owner.failure?.retryAfter == 60_000)
    }

    // MARK: Cancelling

    @Test func `a cancelled call cancels its attempt with the playback position, and delivers nothing more`() throws {
        let harness = CallHarness()
        let owner = try harness.call()
        harness.attempts[0].respond("half")
        owner.call?.cancel(.client, playedMilliseconds: 120)
        #expect(harness.attempts[0].cancelled == .client)
        #expect(harness.attempts[0].played == 120)
        harness.attempts[0].respond("more")
        harness.attempts[0].end()
        #expect(owner.events == ["half"])
        #expect(harness.isFullyReleased)
        #expect(harness.pool.snapshot().counts.cancelled == 1)
    }

    // MARK: Processes

    @Test func `a process whose output isn't JSON is killed with its children`() async throws {
        var configuration = GatewayConfiguration.Upstream()
        (configuration.kind, configuration.command, configuration.memoryLimit) = (
            .process, ["/bin/sh", "-c", "read line; sleep 1987.6 & echo x; sleep 1987.6"], 0
        )
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let pool = UpstreamPool(
            name: "test", addresses: ["test"], policy: .init(configuration), logger: logger, clock: UpstreamPool.monotonic)
        let service = try ProcessService(configuration, pool: pool, logger: logger)
        let running = Task { await service.run() }
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let request = try CallHarness().request()
        let receiver = try await eventLoop.submit {
            let receiver = FailureRecorder()
            let transport = service.makeTransport(on: CallContext(eventLoop: eventLoop, clock: UpstreamPool.monotonic))
            receiver.attempt = transport.makeAttempt(request, endpoint: 0, reporter: AttemptReporter(receiver: receiver, attempt: 1))
            return NIOLoopBound(receiver, eventLoop: eventLoop)
        }.get()
        // The output isn't JSON: the request fails, and the process and its children are killed.
        let failure = try await eventually("failure") { try await eventLoop.submit { receiver.value.failure }.get() }
        #expect(failure.code == .upstreamError)
        _ = try await eventually("no connection") { pool.snapshot().counts.connections == 0 ? true : nil }
        _ = try await eventually("no process") { Self.processes(with: "1987.6").isEmpty ? true : nil }
        running.cancel()
        await running.value
    }

    // MARK: Permits and statistics

    @Test func `calls beyond the permits wait; calls beyond the queue fail`() throws {
        let harness = CallHarness(permits: 2, queue: 1)
        let owners = try (0..<4).map { _ in try harness.call() }
        #expect(harness.attempts.count == 2)
        #expect(owners[3].events == ["upstream_unavailable"])
        harness.attempts[0].end()
        harness.eventLoop.run()
        #expect(harness.attempts.count == 3)
        #expect(harness.pool.snapshot().active == 2)
    }

    @Test func `calls are counted from their start to their end`() throws {
        let harness = CallHarness()
        try harness.call()
        try harness.call()
        #expect(harness.loop.count == 2)
        #expect(harness.pool.snapshot().active == 2)
        harness.attempts[0].end()
        #expect(harness.loop.count == 1)
        harness.attempts[1].reporter.failed(.incompleteResponse())
        #expect(harness.isFullyReleased)
    }

    @Test func `cancelled calls in the queue never open an attempt, even after a permit was granted`() throws {
        let harness = CallHarness(permits: 1, queue: 5)
        let first = try harness.call()
        let waiting = try harness.call()
        let last = try harness.call()
        waiting.call?.cancel(.client, playedMilliseconds: nil)
        #expect(harness.pool.snapshot().waiting == 1)
        first.call?.cancel(.session, playedMilliseconds: nil)
        // The permit is granted to the last call, which is cancelled before it is notified.
        last.call?.cancel(.client, playedMilliseconds: nil)
        harness.eventLoop.run()
        #expect(harness.attempts.count == 1)
        #expect(harness.isFullyReleased)
        #expect(first.events.isEmpty && waiting.events.isEmpty && last.events.isEmpty)
    }

    @Test func `requests are deduplicated by content, key, session and language, as the route configures`() throws {
        var route = Route(name: "all")
        func digest(_ text: String, key: String? = "k", session: UInt64 = 1, lang: String? = nil) throws -> RequestDeduplication.Digest? {
            var request = try CallHarness().request(text)
            request.session = ULID(high: session, low: 2)
            request.lang = lang.map { Array($0.utf8) }
            request.meta = key.map { [.init(key: Array("dedupe_key".utf8), value: Array($0.utf8))] } ?? []
            return RequestDeduplication.digest(of: request, route: route)
        }
        let one = try digest("same")
        #expect(one != nil)
        #expect(try digest("same") == one)
        #expect(try digest("other") != one)
        #expect(try digest("same", key: "l") != one)
        #expect(try digest("same", lang: "de") != one)
        // Responses aren't shared between sessions.
        #expect(try digest("same", session: 2) != one)
        #expect(try digest("same", key: nil) == nil)
        route.sharing = .shared
        #expect(try digest("same", session: 2) == digest("same"))
        route.dedupeKey = Array("of the route".utf8)
        #expect(try digest("same", key: nil) != nil)
        route.sharing = .off
        #expect(try digest("same") == nil)
    }

    @Test func `an endpoint that refuses connections is ejected; calls use the other endpoint`() throws {
        let harness = CallHarness(endpoints: 2)
        harness.onAttempt = { attempt in
            if attempt.endpoint == 0 { attempt.reporter.failed(.unreachable("refused")) } else { attempt.reporter.requestSent() }
        }
        harness.policy.retries = 1
        for _ in 0..<20 {
            let owner = try harness.call()
            harness.advance(milliseconds: 300)
            harness.attempts.last?.end()
            #expect(owner.events == ["end"])
        }
        #expect(harness.pool.snapshot().states == [.open, .closed])
        #expect(harness.attempts.count { $0.endpoint == 0 } == 5)
        #expect(harness.pool.condition == .degraded)
    }

    @Test func `every call releases its permit, however the call ends`() throws {
        let harness = CallHarness(permits: 3, queue: 3)
        for round in 0..<1000 {
            let owner = try harness.call()
            switch round % 5 {
            case 0: harness.attempts.last?.end()
            case 1: harness.attempts.last?.reporter.failed(.status(404, retryAfter: nil))
            case 2: owner.call?.cancel(.client, playedMilliseconds: nil)
            case 3: harness.attempts.last?.respond("x"); harness.attempts.last?.reporter.failed(.incompleteResponse())
            default: harness.attempts.last?.respond("x"); owner.call?.cancel(.session, playedMilliseconds: nil)
            }
        }
        harness.eventLoop.run()
        #expect(harness.isFullyReleased)
    }

    @Test func `completed, failed and rejected calls are counted, also by endpoint`() throws {
        let harness = CallHarness(permits: 1, queue: 1)
        try harness.call()
        try harness.call()
        try harness.call()
        harness.attempts[0].end()
        harness.eventLoop.run()
        harness.attempts[1].reporter.failed(.incompleteResponse())
        let now = harness.pool.snapshot()
        #expect((now.counts.completed, now.counts.failed, now.counts.cancelled) == (1, 2, 0))
        #expect((now.endpoints[0].requests, now.endpoints[0].failures) == (2, 1))
        #expect((now.active, now.waiting) == (0, 0))
    }

    // MARK: Combinations

    @Test func `a full pool rejects with upstream_unavailable; a queued call times out; the call in flight completes`() throws {
        let harness = CallHarness(permits: 1, queue: 1)
        let working = try harness.call()
        let waiting = try harness.call()
        let rejected = try harness.call()
        #expect(rejected.failure?.code == .upstreamUnavailable)
        #expect(rejected.failure?.isRetryable == true)
        harness.advance(milliseconds: 1000)
        #expect(waiting.events == ["upstream_timeout"])
        // The call in flight is unaffected.
        harness.attempts[0].end("done")
        #expect(working.events == ["done", "end"])
        #expect(harness.isFullyReleased)
    }

    @Test func `the status and the retry time of an upstream reach the client`() throws {
        let harness = CallHarness()
        let owner = try harness.call()
        harness.attempts[0].reporter.failed(.status(503, retryAfter: 7000))
        #expect(owner.failure?.code == .upstreamUnavailable)
        #expect(owner.failure?.retryAfter == 7000)
        let rejected = try harness.call()
        harness.attempts[1].reporter.failed(.status(400, retryAfter: nil))
        #expect(rejected.failure?.code == .upstreamError)
        #expect(rejected.failure?.isRetryable == false)
        #expect(rejected.failure?.retryAfter == nil)
    }

    @Test func `ten timed-out calls open the breaker; the next call fails without an attempt`() throws {
        let harness = CallHarness()
        let owners = try (0..<10).map { _ in try harness.call() }
        harness.advance(milliseconds: 2000)
        #expect(owners.allSatisfy { $0.events == ["upstream_timeout"] })
        #expect(harness.attempts.allSatisfy { $0.cancelled == .timeout })
        #expect(harness.isFullyReleased)
        // New calls fail without waiting for a timeout.
        #expect(try harness.call().events == ["upstream_unavailable"])
        #expect(harness.attempts.count == 10)
    }
}

/// Records the failure of an attempt.
private final class FailureRecorder: AttemptReceiver {
    var attempt: (any UpstreamAttempt)?
    var failure: CallFailure?

    func opened(attempt: Int) {}
    func requestSent(attempt: Int) {}
    func read(_ bytes: Int, attempt: Int) {}
    func received(_ content: consuming UpstreamEvent.Content, attempt: Int) {}
    func received(last content: consuming UpstreamEvent.Content, summary: ResponseSummary, attempt: Int) {}
    func consumed(_ bytes: Int, attempt: Int) {}
    func failed(_ failure: CallFailure, attempt: Int) { self.failure = failure }
}

extension CallPoolTests {
    /// Processes that were started with this argument.
    static func processes(with argument: String) -> [String] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.filter { entry in
            guard entry.first?.isNumber ?? false, let words = try? String(contentsOfFile: "/proc/\(entry)/cmdline", encoding: .utf8) else {
                return false
            }
            return words.split(separator: "\0").contains(Substring(argument))
        }
    }
}

/// Polls until `body` returns a value. The limit is generous because concurrent tests share the dispatch queues involved.
func eventually<Value>(_ what: String, within limit: Duration = .seconds(60), _ body: () async throws -> Value?) async throws -> Value {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if let value = try await body() { return value }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw TestFailure("\(what): not within \(limit)")
}
