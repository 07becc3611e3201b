// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@testable import GatewayServer

/// Requests to an upstream: timeouts, retries, hedging, limits and consumed input.
@Suite struct ActiveRequestTests {
    @Test func `a request delivers the response and reports its timing`() throws {
        let harness = CallHarness()
        harness.onAttempt = { _ in }
        let owner = try harness.call()
        harness.advance(milliseconds: 200)
        harness.attempts[0].reporter.requestSent()
        harness.advance(milliseconds: 300)
        harness.attempts[0].respond("a")
        harness.advance(milliseconds: 400)
        harness.attempts[0].end("b")
        #expect(owner.events == ["a", "b", "end"])
        let timing = try #require(owner.timing)
        #expect([timing.queue, timing.connect, timing.first, timing.total].map(\.milliseconds) == [0, 200, 300, 900])
        #expect(harness.isFullyReleased)
    }

    @Test func `each failed attempt is logged with its endpoint and the request's correlation id`() throws {
        let harness = CallHarness(endpoints: 2)
        harness.policy.retries = 1
        harness.onAttempt = { $0.reporter.failed(.unreachable("refused")) }
        let owner = try harness.call()
        harness.advance(milliseconds: 5000)
        #expect(harness.attempts.count == 2)
        let id = try #require(owner.failure?.correlationID)
        let failures = harness.log.filter { $0.hasPrefix("upstream failed") }
        #expect(failures.count == 2)
        for (line, attempt) in zip(failures, harness.attempts) {
            #expect(line.contains("endpoint=endpoint \(attempt.endpoint)"))
            #expect(line.contains("correlation_id=\(id)"))
        }
        let other = try harness.call()
        harness.advance(milliseconds: 5000)
        #expect(other.failure?.correlationID != owner.failure?.correlationID)
    }

    @Test func `a passed health check and a reset close the breaker`() throws {
        let harness = CallHarness { $0.breaker.failures = 1 }
        func fail() throws {
            harness.onAttempt = { $0.reporter.failed(.unreachable("refused")) }
            _ = try harness.call()
            #expect(harness.pool.condition == .unavailable)
        }
        for reset in [
            { harness.pool.setHealth(of: 0, true) }, { harness.pool.resetBreakers(because: "test") },
        ] {
            try fail()
            harness.pool.setHealth(of: 0, false)
            #expect(harness.pool.snapshot().states == [.open])
            reset()
            #expect(harness.pool.snapshot().states == [.closed])
            harness.onAttempt = { $0.reporter.requestSent() }
            let owner = try harness.call()
            harness.attempts.last?.end("here")
            #expect(owner.events == ["here", "end"])
            harness.pool.setHealth(of: 0, true)
        }
    }

    @Test func `a hung upstream fails the request with upstream_timeout in every phase`() throws {
        for (phase, limit) in [("connect", 1000), ("first byte", 2000), ("between", 3000)] as [(String, Int64)] {
            let harness = CallHarness()
            harness.onAttempt = { attempt in
                if phase != "connect" { attempt.reporter.requestSent() }
                if phase == "between" {
                    attempt.reporter.read(1)
                    attempt.respond("x")
                }
            }
            let owner = try harness.call()
            harness.advance(milliseconds: limit - 100)
            #expect(!owner.isEnded, "\(phase)")
            harness.advance(milliseconds: 100)
            #expect(owner.events.last == "upstream_timeout", "\(phase)")
            #expect(harness.attempts[0].cancelled == .timeout)
            #expect(harness.isFullyReleased)
        }
    }

    @Test func `an endless response fails at the total timeout or at the size limit`() throws {
        let harness = CallHarness()
        let owner = try harness.call()
        for _ in 0..<100 where !owner.isEnded {
            harness.attempts[0].reporter.read(1)
            harness.attempts[0].respond("x")
            harness.advance(milliseconds: 500)
        }
        #expect(owner.events.count == 21)
        #expect(owner.events.last == "upstream_timeout")

        let limited = CallHarness()
        limited.policy.maxAnswerBytes = 40
        let cut = try limited.call()
        limited.attempts[0].respond(String(repeating: "a", count: 24))
        // Shorter events count as 16 bytes.
        limited.attempts[0].respond("1")
        #expect(!cut.isEnded)
        limited.attempts[0].respond("1")
        #expect(cut.events.last == "upstream_error")
        #expect(cut.failure?.isRetryable == false)
        #expect(limited.attempts[0].cancelled == .fault)
        // The endpoint's failures don't include this one.
        #expect(limited.pool.snapshot().endpoints[0].failures == 0)
    }

    @Test func `no timeout runs while the response is paused`() throws {
        let harness = CallHarness()
        let owner = try harness.call()
        harness.attempts[0].respond("x")
        owner.call?.pause()
        #expect(harness.attempts[0].isPaused)
        harness.advance(milliseconds: 30_000)
        #expect(!owner.isEnded)
        owner.call?.resume()
        #expect(!harness.attempts[0].isPaused)
    }

    @Test func `a request that hasn't reached an upstream is retried at another endpoint`() throws {
        let harness = CallHarness(endpoints: 2)
        harness.policy.retries = 2
        harness.onAttempt = { $0.reporter.failed(.unreachable("refused")) }
        let owner = try harness.call()
        #expect(harness.attempts.count == 1)
        harness.advance(milliseconds: 500)
        harness.advance(milliseconds: 500)
        #expect(harness.attempts.count == 3)
        #expect(Set(harness.attempts.prefix(2).map(\.endpoint)) == [0, 1])
        #expect(owner.events == ["upstream_unavailable"])
        #expect(harness.pool.snapshot().counts.retries == 2)
        #expect(harness.isFullyReleased)
    }

    @Test func `a request that has reached the upstream is retried only if it is repeatable`() throws {
        for repeatable in [false, true] {
            let harness = CallHarness()
            harness.policy.retries = 1
            harness.policy.isRepeatable = repeatable
            try harness.call()
            harness.attempts[0].reporter.failed(.incompleteResponse())
            harness.advance(milliseconds: 300)
            #expect(harness.attempts.count == (repeatable ? 2 : 1))
        }
    }

    @Test func `a request isn't retried once a delta was delivered`() throws {
        let harness = CallHarness()
        harness.policy.retries = 5
        harness.policy.isRepeatable = true
        let owner = try harness.call()
        harness.attempts[0].respond("once upon")
        harness.attempts[0].reporter.failed(.incompleteResponse())
        harness.advance(milliseconds: 5000)
        #expect(harness.attempts.count == 1)
        #expect(owner.events == ["once upon", "upstream_error"])
    }

    @Test func `retries end when the retry budget is exhausted`() throws {
        let harness = CallHarness { policy in
            policy.retryShare = 0.01
            policy.breaker.failures = 1000
            policy.breaker.rate = .infinity
        }
        harness.policy.retries = 1
        harness.onAttempt = { $0.reporter.failed(.unreachable("refused")) }
        for _ in 0..<50 {
            try harness.call()
            harness.advance(milliseconds: 200)
        }
        // 50 calls, and 10 retries from the budget's reserve.
        #expect(harness.attempts.count == 60)
    }

    @Test func `a Retry-After above 2 s prevents a retry`() throws {
        for (wait, attempts) in [(2000, 2), (2001, 1)] as [(Int64, Int)] {
            let harness = CallHarness()
            harness.policy.retries = 1
            let owner = try harness.call()
            harness.attempts[0].reporter.failed(.status(429, retryAfter: wait))
            harness.advance(milliseconds: 2200)
            #expect(harness.attempts.count == attempts)
            #expect(owner.isEnded == (attempts == 1))
            if attempts == 1 { #expect(owner.failure?.retryAfter == wait) }
        }
    }

    @Test func `a slow response is hedged; the first attempt that responds wins`() throws {
        let harness = CallHarness(endpoints: 2)
        harness.policy.isRepeatable = true
        harness.policy.hedgeAfter = .milliseconds(500)
        let owner = try harness.call()
        harness.advance(milliseconds: 400)
        #expect(harness.attempts.count == 1)
        harness.advance(milliseconds: 100)
        #expect(harness.attempts.map(\.endpoint) == [0, 1])
        harness.attempts[1].respond("faster")
        #expect(harness.attempts[0].cancelled == .obsolete)
        harness.attempts[0].respond("slower")
        harness.attempts[1].end()
        #expect(owner.events == ["faster", "end"])
        #expect(harness.pool.snapshot().counts.hedges == 1)
        #expect(harness.isFullyReleased)
    }

    @Test func `a hedged request survives the failure of one attempt`() throws {
        let harness = CallHarness(endpoints: 2)
        harness.policy.isRepeatable = true
        harness.policy.hedgeAfter = .milliseconds(500)
        let owner = try harness.call()
        harness.advance(milliseconds: 500)
        harness.attempts[0].reporter.failed(.incompleteResponse())
        #expect(!owner.isEnded)
        harness.attempts[1].end("still")
        #expect(owner.events == ["still", "end"])
        #expect(harness.isFullyReleased)
    }

    @Test func `streamed audio is buffered until connected and never sent twice`() throws {
        let harness = CallHarness()
        harness.policy.retries = 3
        harness.onAttempt = { _ in }
        let owner = try harness.call(nil)
        owner.call?.send([1, 2])
        owner.call?.send([3])
        #expect(owner.call?.heldBytes == 3)
        harness.attempts[0].reporter.failed(.unreachable("refused"))
        harness.advance(milliseconds: 300)
        harness.attempts[1].reporter.requestSent()
        #expect(harness.attempts[1].chunks == [[1, 2], [3]])
        #expect(owner.events == ["consumed 2", "consumed 1"])
        // The response timeout doesn't run before the input ends.
        harness.advance(milliseconds: 60_000)
        owner.call?.send([4])
        owner.call?.endInput()
        #expect(harness.attempts[1].hasInputEnded)
        harness.advance(milliseconds: 1900)
        #expect(!owner.isEnded)
        harness.attempts[1].reporter.failed(.incompleteResponse())
        harness.advance(milliseconds: 5000)
        #expect(harness.attempts.count == 2)
        #expect(owner.events.last == "upstream_error")
    }

    @Test func `response bytes are limited as they are read, whatever they contain`() throws {
        let harness = CallHarness()
        harness.policy.maxAnswerBytes = 100
        let owner = try harness.call()
        // These bytes could be comments, empty events or ignored fields.
        for _ in 0..<10 { harness.attempts[0].reporter.read(10) }
        #expect(!owner.isEnded)
        harness.attempts[0].reporter.read(1)
        #expect(owner.events == ["upstream_error"])
        #expect(owner.failure?.isRetryable == false)
        #expect(harness.attempts[0].cancelled == .fault)
        #expect(harness.pool.snapshot().endpoints[0].failures == 0)
        #expect(harness.isFullyReleased)
        // Each attempt has its own limit.
        harness.policy.maxAnswerBytes = .max
        let next = try harness.call()
        harness.attempts[1].reporter.read(.max)
        harness.attempts[1].reporter.read(.max)
        harness.attempts[1].end("yes")
        #expect(next.events == ["yes", "end"])
    }

    @Test func `bytes without an event postpone the timeout for 30 s only`() throws {
        let harness = CallHarness()
        harness.policy.timeouts.total = .max
        let owner = try harness.call()
        harness.attempts[0].reporter.read(1)
        for _ in 0..<29 {
            harness.advance(milliseconds: 1000)
            harness.attempts[0].reporter.read(3)
        }
        // An event restarts the 30 s.
        harness.attempts[0].respond("x")
        for _ in 0..<29 {
            harness.advance(milliseconds: 1000)
            harness.attempts[0].reporter.read(3)
        }
        #expect(owner.events == ["x"])
        harness.advance(milliseconds: 1000)
        #expect(owner.events == ["x", "upstream_timeout"])
        #expect(harness.attempts[0].cancelled == .timeout)
        #expect(harness.isFullyReleased)
    }

    @Test func `a text is reported as consumed once, when the request is written`() throws {
        let harness = CallHarness()
        harness.policy.retries = 1
        harness.onAttempt = { $0.reporter.opened() }
        let owner = try harness.call("hello")
        #expect(owner.consumedText == 0)
        // The time in the connection's write queue is limited by first_byte_timeout.
        harness.advance(milliseconds: 1900)
        #expect(!owner.isEnded)
        harness.attempts[0].reporter.requestSent()
        #expect(owner.consumedText == 5)
        harness.attempts[0].reporter.failed(.unreachable("lost"))
        harness.advance(milliseconds: 300)
        harness.attempts[1].reporter.requestSent()
        harness.attempts[1].end("hi")
        #expect(owner.consumedText == 5)
        #expect(owner.events == ["hi", "end"])
    }

    @Test(arguments: [true, false]) func `audio that the upstream doesn't consume times out; silence doesn't`(waits: Bool) throws {
        let harness = CallHarness()
        harness.onAttempt = { attempt in
            attempt.consumesAudio = !waits
            attempt.reporter.requestSent()
        }
        let owner = try harness.call(nil)
        owner.call?.send([1, 2])
        harness.advance(milliseconds: 2000)
        // More input isn't progress.
        owner.call?.send([3])
        harness.advance(milliseconds: 900)
        #expect(!owner.isEnded)
        harness.advance(milliseconds: 100)
        #expect(owner.isEnded == waits)
        if waits {
            #expect(owner.events == ["upstream_timeout"])
            #expect(harness.isFullyReleased)
        }
    }

    @Test func `slowly consumed audio, and audio blocked by a paused response, doesn't time out`() throws {
        let harness = CallHarness()
        harness.onAttempt = { attempt in
            attempt.consumesAudio = false
            attempt.reporter.requestSent()
        }
        let owner = try harness.call(nil)
        owner.call?.send([1, 2, 3])
        harness.advance(milliseconds: 2900)
        harness.attempts[0].reporter.consumed(1)
        harness.advance(milliseconds: 2900)
        owner.call?.pause()
        harness.advance(milliseconds: 60_000)
        owner.call?.resume()
        harness.advance(milliseconds: 2900)
        #expect(!owner.isEnded)
        harness.advance(milliseconds: 100)
        #expect(owner.events == ["consumed 1", "upstream_timeout"])
    }
}
