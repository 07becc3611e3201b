// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Compares the outbox with a simple model that keeps every message, through acknowledgements, lost connections, resumes and overflow.
@Suite struct OutboxModelTests {
    private struct Sent: Equatable {
        var number: UInt64
        var kind: Outbox.Kind
    }

    /// The client, with the numbers of the messages that it has received.
    private struct Client {
        var received: [UInt64] = []
        var last: UInt64 { received.last ?? 0 }
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `every message arrives once and in order, or the resume reports a loss`(seed: UInt64) {
        var random = ULIDSource(seed: seed)
        let maximum = [Int.max, 60, 12][Int(seed % 3)]
        var outbox = Outbox(maximumCount: maximum, maximumBytes: .max)
        var all: [Sent] = []
        var client = Client()
        var isAttached = true
        // Written, but not received yet: some of these may be lost with the connection.
        var inFlight: [UInt64] = []
        var opening = false
        for _ in 0..<2000 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<5:
                let kind: Outbox.Kind = opening ? [.binary, .binary, .binary, .json][Int.random(in: 0..<4, using: &random)] : .opening
                opening = kind != .json
                all.append(Sent(number: outbox.nextSequence, kind: kind))
                Array("\(outbox.nextSequence)".utf8).withRawSpan { outbox.append($0, kind: kind, request: nil) }
            case 5..<8 where isAttached:
                var budget = Int.random(in: 1...10, using: &random)
                outbox.drain { span, _ in
                    guard budget > 0 else { return false }
                    budget -= 1
                    inFlight.append(number(span))
                    return true
                }
            case 8 where isAttached:
                let arrived = Int.random(in: 0...inFlight.count, using: &random)
                client.received += inFlight.prefix(arrived)
                inFlight.removeFirst(arrived)
            case 9 where isAttached:
                outbox.acknowledge(client.last)
            case 10 where isAttached:
                let arrived = Int.random(in: 0...inFlight.count, using: &random)
                client.received += inFlight.prefix(arrived)
                inFlight = []
                outbox.detach()
                isAttached = false
            case 11 where !isAttached:
                let before = client.last
                let isLost = outbox.rewind(after: before)
                isAttached = true
                let kept = replay(outbox)
                let due = all.filter { $0.number > before }
                if isLost {
                    #expect(maximum != .max)
                    #expect(kept.count < due.count, "a loss is reported only if messages are missing")
                    #expect(Array(due.suffix(kept.count)).count == kept.count && isSubsequence(kept, of: due))
                    #expect(kept.first?.kind != .binary)
                } else {
                    #expect(kept == due)
                }
                // After a loss, the client continues with the gateway's next number.
                if isLost { client.received.append((kept.first?.number ?? outbox.nextSequence) - 1) }
            default: break
            }
            #expect(outbox.lastSequence == UInt64(all.count))
            if !isAttached { #expect(outbox.count <= maximum) }
        }
        #expect(zip(client.received, client.received.dropFirst()).allSatisfy { $0 < $1 })
        if maximum == .max { #expect(client.received == (0..<UInt64(client.received.count)).map { $0 + 1 }) }
    }

    private func number(_ span: RawSpan) -> UInt64 {
        (0..<span.byteCount).reduce(0) { $0 * 10 + UInt64(span.byte(at: $1) - 0x30) }
    }

    /// Returns the messages that would be written next, without changing the outbox.
    private func replay(_ outbox: Outbox) -> [Sent] {
        var copy = outbox
        var sent: [Sent] = []
        copy.drain { span, kind in
            sent.append(Sent(number: number(span), kind: kind))
            return true
        }
        return sent
    }

    private func isSubsequence(_ part: [Sent], of whole: [Sent]) -> Bool {
        var rest = whole[...]
        for entry in part {
            guard let index = rest.firstIndex(of: entry) else { return false }
            rest = rest[(index + 1)...]
        }
        return true
    }
}
