// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct TraceContextTests {
    private static let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    private static func parse(_ text: String) -> TraceContext? { TraceContext(traceparent: text.utf8) }

    @Test func `a valid traceparent is parsed and written again`() throws {
        let context = try #require(Self.parse(Self.valid))
        #expect(context.high == 0x4BF9_2F35_77B3_4DA6)
        #expect(context.low == 0xA3CE_929D_0E0E_4736)
        #expect(context.span == 0x00F0_67AA_0BA9_02B7)
        #expect(context.isSampled)
        #expect(String(decoding: context.traceparent, as: UTF8.self) == Self.valid)
    }

    @Test(arguments: [
        ("00", false), ("01", true), ("02", false), ("03", true), ("ff", true),
    ]) func `the lowest flag says whether the trace is sampled`(flags: String, isSampled: Bool) {
        #expect(Self.parse(Self.valid.dropLast(2) + flags)?.isSampled == isSampled)
    }

    private static let rest = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    private static let invalid: [String] = [
        "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", "00\(rest)0", "00\(rest)-", "00\(rest)-00", "ff\(rest)",
        "0g\(rest)", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x", " 00\(rest)", "00\(rest) ", "cc\(rest)x",
        "cc\(rest)-\(String(repeating: "x", count: 512 - 55))",
    ]

    @Test(arguments: invalid) func `an invalid traceparent is ignored`(text: String) {
        #expect(Self.parse(text) == nil)
    }

    @Test func `a later version may have further fields up to 512 bytes`() {
        let later = "cc" + Self.valid.dropFirst(2)
        #expect(Self.parse(later) != nil)
        #expect(Self.parse(later + "-") != nil)
        #expect(Self.parse(later + "-what-the-future-brings")?.isSampled == true)
        #expect(Self.parse(later + "-" + String(repeating: "x", count: 512 - 56)) != nil)
    }

    @Test func `a trace with a zero half is valid`() {
        #expect(Self.parse("00-0000000000000000a3ce929d0e0e4736-00f067aa0ba902b7-00") != nil)
        #expect(Self.parse("00-4bf92f3577b34da60000000000000000-00f067aa0ba902b7-00") != nil)
    }

    @Test func `a child keeps the trace and the flag, and has a span of its own`() throws {
        var generator = SystemRandomNumberGenerator()
        let context = try #require(Self.parse(Self.valid))
        let child = context.child(using: &generator)
        #expect((child.high, child.low) == (context.high, context.low))
        #expect(child.isSampled)
        #expect(child.span != context.span)
    }
}

@Suite struct TracePolicyTests {
    private static func context(_ low: UInt64, isSampled: Bool = false) -> TraceContext {
        TraceContext(high: 1, low: low, span: 1, isSampled: isSampled)
    }

    private static func message(milliseconds: UInt64, status: TraceSpan.Status = .unset, isSampled: Bool = false) -> TraceSpan {
        TraceSpan(.message, context(1, isSampled: isSampled), parent: nil, start: 5, end: 5 + milliseconds * 1_000_000, status: status)
    }

    @Test func `the share of sampled traces is that of tracing.sample`() {
        var generator = SystemRandomNumberGenerator()
        let policy = TracePolicy(sample: 0.25)
        let count = (0..<10_000).count { _ in policy.samples(TraceContext(using: &generator)) }
        #expect((2000...3000).contains(count))
    }

    @Test func `sampling depends on the last 56 bits of the trace id only`() {
        let half: UInt64 = 1 << 55
        let policy = TracePolicy(sample: 0.5)
        #expect(policy.samples(Self.context(half - 1)))
        #expect(!policy.samples(Self.context(half)))
        #expect(policy.samples(Self.context(0xFF << 56 | (half - 1))))
        #expect(!TracePolicy(sample: 0).samples(Self.context(0)))
        #expect(TracePolicy(sample: 1).samples(Self.context(.max)))
    }

    @Test func `a message is kept when it takes longer than tracing.keep_slower_than`() {
        let policy = TracePolicy(slowerThan: 2_000_000_000)
        #expect(!policy.keeps(Self.message(milliseconds: 1999)))
        #expect(!policy.keeps(Self.message(milliseconds: 2000)))
        #expect(policy.keeps(Self.message(milliseconds: 2001)))
        #expect(!TracePolicy().keeps(Self.message(milliseconds: 100_000)))
    }

    @Test func `a failed message is kept with tracing.keep_failed only`() {
        let failed = Self.message(milliseconds: 1, status: .failed("upstream_timeout"))
        #expect(TracePolicy(keepsFailed: true).keeps(failed))
        #expect(!TracePolicy(keepsFailed: false).keeps(failed))
        #expect(!TracePolicy(keepsFailed: true).keeps(Self.message(milliseconds: 1)))
    }

    @Test func `a sampled message is kept`() {
        #expect(TracePolicy().keeps(Self.message(milliseconds: 1, isSampled: true)))
    }

    @Test func `the queue drops and counts the spans of a message that don't fit`() {
        var queue = SpanQueue(capacity: 4)
        let span = Self.message(milliseconds: 1)
        var fits = [queue.append([span, span, span]), queue.append([span, span])]
        #expect(fits == [true, false])
        #expect(queue.dropped == 2)
        fits = [queue.append([span]), queue.append([span])]
        #expect(fits == [true, false])
        #expect(queue.dropped == 3)
        // Spans that are being exported count until the export has ended.
        var batch = queue.take(3)
        #expect(batch.count == 3)
        fits = [queue.append([span])]
        queue.finish(lost: false)
        fits.append(queue.append([span, span, span]))
        #expect(fits == [false, true])
        #expect(queue.dropped == 4)
        batch = queue.take(10)
        #expect(batch.count == 4)
        queue.finish(lost: true)
        #expect(queue.dropped == 8)
        #expect(queue.count == 0)
    }
}
