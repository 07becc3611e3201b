// SPDX-License-Identifier: Apache-2.0

import DequeModule
package import GatewayCore

/// The latencies of about the last minute, from histograms that only grow.
package struct LatencyWindow: Sendable {
    /// The age of the oldest state that is kept, and the time between two states.
    static let length = Instant.Duration.seconds(60)
    static let step = Instant.Duration.seconds(10)

    /// The histograms by the names of the overview. Their unit is the nanosecond.
    private static let histograms: [(name: String, of: @Sendable (LoopMetrics) -> Histogram)] = [
        ("first_text", { $0.voice.firstText }), ("first_audio", { $0.voice.firstAudio }), ("cancel", { $0.voice.cancellation }),
        ("message_handling", { $0.handlingTime }), ("ping_rtt", { $0.pingTime }), ("event_loop_lag", { $0.lag }),
    ]

    private var states: Deque<(at: Instant, histograms: [Histogram])> = []

    package init() {}

    /// Adds the current metrics, and returns the percentiles of the latencies since about ``length`` ago. A latency that wasn't measured is
    /// absent.
    package mutating func add(_ metrics: LoopMetrics, at now: Instant) -> [String: Overview.Latency] {
        let current = Self.histograms.map { $0.of(metrics) }
        if states.last.map({ now - $0.at >= Self.step }) ?? true { states.append((now, current)) }
        // The first state is the newest one that is at least a window old.
        while states.count > 1, now - states[1].at >= Self.length { states.removeFirst() }
        let isFull = states.first.map { now - $0.at >= Self.length } ?? false
        var latencies: [String: Overview.Latency] = [:]
        for (index, histogram) in Self.histograms.enumerated() {
            let recent = isFull ? current[index].since(states[0].histograms[index]) : current[index]
            guard let p50 = recent.value(at: 0.5), let p90 = recent.value(at: 0.9), let p99 = recent.value(at: 0.99) else { continue }
            latencies[histogram.name] = Overview.Latency(
                count: recent.count, p50: Self.milliseconds(p50), p90: Self.milliseconds(p90), p99: Self.milliseconds(p99))
        }
        return latencies
    }

    private static func milliseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds / 1000) / 1000 }
}
