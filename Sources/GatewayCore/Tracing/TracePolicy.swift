// SPDX-License-Identifier: Apache-2.0

/// The decision which traces are exported: `tracing.sample`, `tracing.keep_slower_than` and `tracing.keep_failed`.
package struct TracePolicy: Sendable, Hashable {
    /// The share of new traces that are exported whatever happens in them, from 0 to 1.
    package var sample: Double
    /// Messages that take longer are exported, in nanoseconds; nil never.
    package var slowerThan: UInt64?
    package var keepsFailed: Bool

    package init(sample: Double = 0, slowerThan: UInt64? = nil, keepsFailed: Bool = false) {
        self.sample = sample
        self.slowerThan = slowerThan
        self.keepsFailed = keepsFailed
    }

    /// Whether a new trace is exported whatever happens in it. Depends only on the id, so that gateways agree.
    package func samples(_ context: TraceContext) -> Bool {
        guard sample < 1 else { return true }
        // The last 56 bits of a trace id are random (Trace Context, Level 2). A Double represents 53 of them exactly.
        let random = (context.low & (1 << 56 - 1)) >> 3
        return Double(random) < sample * Double(UInt64(1) << 53)
    }

    /// Whether the spans of a message are exported, now that it has ended.
    package func keeps(_ message: TraceSpan) -> Bool {
        if message.context.isSampled { return true }
        if keepsFailed, message.hasFailed { return true }
        return slowerThan.map { message.duration > $0 } ?? false
    }
}
