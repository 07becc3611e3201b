// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Coalescing deltas") struct CoalescerTests {
    private struct Harness {
        var coalescer: Coalescer
        var sent: [String] = []

        init(window: Int64 = 50) { coalescer = Coalescer(window: window * 1_000_000) }

        mutating func text(_ text: String, final: Bool = false, last: Bool = false, of number: UInt64 = 1, at time: Int64) {
            process(UpstreamEvent(RequestKey(number: number), .text(Array(text.utf8), final: final), isLast: last), at: time)
        }

        mutating func process(_ event: UpstreamEvent, at time: Int64) {
            var out: [String] = []
            coalescer.process(event, at: Instant(nanoseconds: time * 1_000_000)) { out.append(Self.summary($0)) }
            sent += out
        }

        mutating func release(at time: Int64, all: Bool = false) {
            var out: [String] = []
            coalescer.release(at: Instant(nanoseconds: time * 1_000_000), all: all) { out.append(Self.summary($0)) }
            sent += out
        }

        static func summary(_ event: UpstreamEvent) -> String {
            switch event.content {
            case .text(let text, let final):
                "\(event.request.number):\(String(decoding: text, as: UTF8.self))\(final ? "!" : "")\(event.isLast ? "." : "")"
            case .status(let state, _, _): "status \(state)"
            case .failure: "failure"
            default: "other"
            }
        }
    }

    @Test func `without a window, every delta is sent at once`() {
        var harness = Harness(window: 0)
        harness.text("a", at: 0)
        harness.text("b", final: true, last: true, at: 0)
        #expect(harness.sent == ["1:a", "1:b!."])
        #expect(harness.coalescer.isEmpty)
    }

    @Test func `the first delta is sent at once, later ones at the end of the window`() throws {
        var harness = Harness()
        harness.text("a", at: 0)
        harness.text("b", at: 10)
        harness.text("c", at: 49)
        #expect(harness.sent == ["1:a"])
        #expect(harness.coalescer.deadline == Instant(nanoseconds: 50_000_000))
        harness.release(at: 49)
        #expect(harness.sent == ["1:a"])
        harness.release(at: 50)
        #expect(harness.sent == ["1:a", "1:bc"])
        harness.text("d", at: 60)
        #expect(harness.coalescer.heldBytes == 1)
        harness.release(at: 100)
        #expect(harness.sent == ["1:a", "1:bc", "1:d"])
        // After a window without deltas, the next one is sent at once again.
        harness.text("e", at: 200)
        #expect(harness.sent.last == "1:e")
    }

    @Test func `the final text includes the held text, and nothing stays pending`() {
        var harness = Harness()
        harness.text("a", at: 0)
        harness.text("b", at: 1)
        harness.text("c", final: true, last: true, at: 2)
        #expect(harness.sent == ["1:a", "1:bc!."])
        #expect(harness.coalescer.isEmpty)
        #expect(harness.coalescer.deadline == nil)
    }

    @Test func `held text is sent before an event that isn't text`() {
        var harness = Harness()
        harness.text("a", at: 0)
        harness.text("b", at: 1)
        harness.process(UpstreamEvent(RequestKey(number: 1), .status("thinking", progress: nil)), at: 2)
        harness.text("c", at: 3)
        harness.process(
            UpstreamEvent(RequestKey(number: 1), .failure(.upstreamFailed, retryAfterMilliseconds: nil), isLast: true), at: 4)
        #expect(harness.sent == ["1:a", "1:b", "status thinking", "1:c", "failure"])
    }

    @Test func `requests don't wait for each other`() {
        var harness = Harness()
        harness.text("a", of: 1, at: 0)
        harness.text("b", of: 1, at: 1)
        harness.text("x", of: 2, at: 2)
        harness.text("y", final: true, last: true, of: 2, at: 3)
        #expect(harness.sent == ["1:a", "2:x", "2:y!."])
        harness.coalescer.forget(RequestKey(number: 1))
        harness.release(at: 100, all: true)
        #expect(harness.sent.count == 3)
    }
}
