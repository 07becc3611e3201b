// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOEmbedded
import Testing

@testable import GatewayServer

/// The counters and histograms of the pool of an upstream.
@Suite struct UpstreamMetricsTests {
    @Test func `a completed call is counted with its durations`() throws {
        let harness = CallHarness(permits: 1, queue: 1)
        try harness.call()
        try harness.call()
        harness.advance(milliseconds: 300)
        harness.attempts[0].respond("a")
        harness.advance(milliseconds: 200)
        harness.attempts[0].end("b")
        harness.eventLoop.run()
        harness.advance(milliseconds: 100)
        harness.attempts[1].end("c")
        let metrics = harness.pool.metrics
        #expect(metrics.outcomes[.completed] == 2 && metrics.outcomes.total == 2)
        #expect(metrics.requestTime.sum == 1_100_000_000)
        #expect(metrics.firstEventTime.sum == 400_000_000)
        #expect(metrics.queueTime.sum == 500_000_000)
    }

    @Test func `a failed call is counted by its cause, with the correlation id of the error`() throws {
        let harness = CallHarness()
        harness.policy.retries = 0
        let owner = try harness.call()
        harness.attempts[0].reporter.failed(.incompleteResponse())
        let metrics = harness.pool.metrics
        #expect(metrics.outcomes[.failed] == 1 && metrics.outcomes.total == 1)
        #expect(metrics.exemplars[UpstreamOutcome.failed.ordinal]?.correlationID == owner.failure?.correlationID)
        #expect(owner.failure?.correlationID != nil)
        #expect(metrics.requestTime.count == 1 && metrics.firstEventTime.count == 0)
    }

    @Test func `a call that a full queue rejects is unavailable`() throws {
        let harness = CallHarness(permits: 1)
        try harness.call()
        try harness.call()
        #expect(harness.pool.metrics.outcomes[.unavailable] == 1)
    }

    @Test(arguments: CancelReason.allCases) func `a cancelled call is counted by its reason`(reason: CancelReason) throws {
        let harness = CallHarness()
        let owner = try harness.call()
        owner.call?.cancel(reason, playedMilliseconds: nil)
        let metrics = harness.pool.metrics
        #expect(metrics.cancellations[reason] == 1 && metrics.cancellations.total == 1)
        #expect(metrics.outcomes[.cancelled] == 1 && harness.pool.snapshot().counts.cancelled == 1)
        #expect(metrics.requestTime.count == 0)
    }
}
