import GatewayCore
import Testing

@Suite("Gathering deltas") struct CoalescerTests {
    private struct Line {
        var coalescer: Coalescer
        var passed: [String] = []

        init(window: Int64 = 50) { coalescer = Coalescer(window: window * 1_000_000) }

        mutating func text(_ text: String, final: Bool = false, last: Bool = false, of number: UInt64 = 1, at time: Int64) {
            take(UpstreamEvent(RequestKey(number: number), .text(Array(text.utf8), final: final), isLast: last), at: time)
        }

        mutating func take(_ event: UpstreamEvent, at time: Int64) {
            var out: [String] = []
            coalescer.take(event, at: Instant(nanoseconds: time * 1_000_000)) { out.append(Self.shown($0)) }
            passed += out
        }

        mutating func release(at time: Int64, all: Bool = false) {
            var out: [String] = []
            coalescer.release(at: Instant(nanoseconds: time * 1_000_000), all: all) { out.append(Self.shown($0)) }
            passed += out
        }

        static func shown(_ event: UpstreamEvent) -> String {
            switch event.content {
            case .text(let text, let final):
                "\(event.request.number):\(String(decoding: text, as: UTF8.self))\(final ? "!" : "")\(event.isLast ? "." : "")"
            case .status(let state, _, _): "status \(state)"
            case .failure: "failure"
            default: "other"
            }
        }
    }

    @Test func `off, everything passes as it comes`() {
        var line = Line(window: 0)
        line.text("a", at: 0)
        line.text("b", final: true, last: true, at: 0)
        #expect(line.passed == ["1:a", "1:b!."])
        #expect(line.coalescer.isEmpty)
    }

    @Test func `the first delta passes at once, the others when the window is over`() throws {
        var line = Line()
        line.text("a", at: 0)
        line.text("b", at: 10)
        line.text("c", at: 49)
        #expect(line.passed == ["1:a"])
        #expect(line.coalescer.deadline == Instant(nanoseconds: 50_000_000))
        line.release(at: 49)
        #expect(line.passed == ["1:a"])
        line.release(at: 50)
        #expect(line.passed == ["1:a", "1:bc"])
        line.text("d", at: 60)
        #expect(line.coalescer.heldBytes == 1)
        line.release(at: 100)
        #expect(line.passed == ["1:a", "1:bc", "1:d"])
        // After a quiet window the next passes at once again.
        line.text("e", at: 200)
        #expect(line.passed.last == "1:e")
    }

    @Test func `the end takes along what was gathered, and nothing is left`() {
        var line = Line()
        line.text("a", at: 0)
        line.text("b", at: 1)
        line.text("c", final: true, last: true, at: 2)
        #expect(line.passed == ["1:a", "1:bc!."])
        #expect(line.coalescer.isEmpty)
        #expect(line.coalescer.deadline == nil)
    }

    @Test func `what isn't text comes behind the text before it`() {
        var line = Line()
        line.text("a", at: 0)
        line.text("b", at: 1)
        line.take(UpstreamEvent(RequestKey(number: 1), .status("thinking", progress: nil)), at: 2)
        line.text("c", at: 3)
        line.take(
            UpstreamEvent(RequestKey(number: 1), .failure(.upstreamFailed, retryAfterMilliseconds: nil), isLast: true), at: 4)
        #expect(line.passed == ["1:a", "1:b", "status thinking", "1:c", "failure"])
    }

    @Test func `requests don't wait for each other`() {
        var line = Line()
        line.text("a", of: 1, at: 0)
        line.text("b", of: 1, at: 1)
        line.text("x", of: 2, at: 2)
        line.text("y", final: true, last: true, of: 2, at: 3)
        #expect(line.passed == ["1:a", "2:x", "2:y!."])
        line.coalescer.forget(RequestKey(number: 1))
        line.release(at: 100, all: true)
        #expect(line.passed.count == 3)
    }
}
