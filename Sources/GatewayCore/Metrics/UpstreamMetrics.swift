// SPDX-License-Identifier: Apache-2.0

/// How a call to an upstream ended, as a label.
package enum UpstreamOutcome: Int, MetricLabel {
    case completed, failed, timeout
    /// No endpoint could be reached, or the queue for permits was full.
    case unavailable
    case cancelled

    package init(_ code: ErrorCode) {
        switch code {
        case .upstreamTimeout: self = .timeout
        case .upstreamUnavailable: self = .unavailable
        default: self = .failed
        }
    }

    package var label: String { "\(self)" }
}

/// The counters and histograms of one upstream.
package struct UpstreamMetrics: Sendable {
    package private(set) var outcomes = Counters<UpstreamOutcome>()
    package private(set) var cancellations = Counters<CancelReason>()
    /// The last failure of each outcome, by ``UpstreamOutcome/ordinal``.
    package private(set) var exemplars = [Exemplar?](repeating: nil, count: UpstreamOutcome.allCases.count)
    /// The duration of calls that weren't cancelled, in nanoseconds.
    package private(set) var requestTime = Histogram()
    /// From the open connection, or the end of the audio, to the first content of a response, in nanoseconds.
    package private(set) var firstEventTime = Histogram()
    /// The time in the queue for a permit, in nanoseconds.
    package private(set) var queueTime = Histogram()

    package init() {}

    package mutating func countCompleted(_ timing: CallTiming) {
        outcomes.add(.completed)
        firstEventTime.record(timing.first)
        count(timing)
    }

    package mutating func countFailed(_ code: ErrorCode, _ timing: CallTiming) {
        outcomes.add(UpstreamOutcome(code))
        if timing.first > .zero { firstEventTime.record(timing.first) }
        count(timing)
    }

    package mutating func countCancelled(_ reason: CancelReason) {
        outcomes.add(.cancelled)
        cancellations.add(reason)
    }

    /// Keeps the correlation id of a failure that was counted.
    package mutating func refer(to exemplar: Exemplar, for code: ErrorCode) { exemplars[UpstreamOutcome(code).ordinal] = exemplar }

    private mutating func count(_ timing: CallTiming) {
        requestTime.record(timing.total)
        queueTime.record(timing.queue)
    }

    /// Adds the counters and histograms of another value.
    package mutating func add(_ other: UpstreamMetrics) {
        outcomes.add(other.outcomes)
        cancellations.add(other.cancellations)
        for index in exemplars.indices { exemplars[index] = Exemplar.newer(exemplars[index], other.exemplars[index]) }
        requestTime.add(other.requestTime)
        firstEventTime.add(other.firstEventTime)
        queueTime.add(other.queueTime)
    }
}
