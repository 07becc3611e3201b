// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct OutboxTests {
    private static let one = RequestKey(number: 1)
    private static let two = RequestKey(number: 2)

    private func append(_ text: String, to outbox: inout Outbox, kind: Outbox.Kind = .json, of request: RequestKey? = one) {
        Array(text.utf8).withRawSpan { outbox.append($0, kind: kind, request: request) }
    }

    /// Writes up to `limit` messages and returns their texts.
    private func drain(_ outbox: inout Outbox, _ limit: Int = .max) -> [String] {
        var written: [String] = []
        outbox.drain { span, _ in
            guard written.count < limit else { return false }
            written.append(String(decoding: (0..<span.byteCount).map { span.byte(at: $0) }, as: UTF8.self))
            return true
        }
        return written
    }

    private func outbox(messages: Int = .max, bytes: Int = .max) -> Outbox { Outbox(maximumCount: messages, maximumBytes: bytes) }

    @Test func `sequence numbers increase by one, binary frames included`() {
        var outbox = outbox()
        #expect(outbox.lastSequence == 0 && outbox.nextSequence == 1)
        append("a", to: &outbox)
        append("b", to: &outbox, kind: .binary)
        #expect(outbox.lastSequence == 2 && outbox.nextSequence == 3)
    }

    @Test func `messages that a full socket doesn't accept are written later`() {
        var outbox = outbox()
        for text in ["a", "bb", "ccc"] { append(text, to: &outbox) }
        #expect(outbox.waitingBytes == 6)
        #expect(drain(&outbox, 2) == ["a", "bb"])
        #expect(outbox.hasWaiting && outbox.waitingBytes == 3)
        append("d", to: &outbox)
        #expect(drain(&outbox) == ["ccc", "d"])
        #expect(!outbox.hasWaiting && outbox.waitingBytes == 0)
        #expect(drain(&outbox).isEmpty)
        #expect(outbox.count == 4)
    }

    @Test func `acknowledged messages are removed, others stay`() {
        var outbox = outbox()
        for text in ["a", "b", "c"] { append(text, to: &outbox) }
        _ = drain(&outbox)
        outbox.acknowledge(0)
        #expect(outbox.count == 3)
        outbox.acknowledge(2)
        #expect(outbox.count == 1)
        outbox.acknowledge(1)
        #expect(outbox.count == 1)
        outbox.acknowledge(3)
        #expect(outbox.count == 0)
    }

    @Test func `messages that weren't written can't be acknowledged`() {
        var outbox = outbox()
        for text in ["a", "b", "c"] { append(text, to: &outbox) }
        _ = drain(&outbox, 1)
        outbox.acknowledge(.max)
        #expect(outbox.count == 2)
        #expect(drain(&outbox) == ["b", "c"])
    }

    @Test func `cancelling drops the waiting messages of one request and keeps those of others`() {
        var outbox = outbox()
        append("1a", to: &outbox)
        append("1b", to: &outbox)
        append("2a", to: &outbox, of: Self.two)
        append("1c", to: &outbox)
        append("2b", to: &outbox, of: Self.two)
        append("0", to: &outbox, of: nil)
        #expect(drain(&outbox, 1) == ["1a"])
        outbox.dropWaiting(of: Self.one)
        #expect(outbox.count == 4 && outbox.waitingBytes == 5)
        #expect(outbox.nextSequence == 7)
        append("next", to: &outbox)
        #expect(drain(&outbox) == ["2a", "2b", "0", "next"])
        // Unacknowledged: 1a, and 2a after the gap, with number 3.
        outbox.acknowledge(2)
        #expect(outbox.count == 4)
        outbox.acknowledge(3)
        #expect(outbox.count == 3)
    }

    @Test func `cancelling keeps written messages until they are acknowledged`() {
        var outbox = outbox()
        append("a", to: &outbox)
        append("b", to: &outbox)
        _ = drain(&outbox)
        outbox.dropWaiting(of: Self.one)
        #expect(outbox.count == 2)
    }

    @Test func `a binary frame of another request never follows a gap`() {
        var outbox = outbox()
        append("2 opens", to: &outbox, of: Self.two)
        append("1a", to: &outbox)
        append("1b", to: &outbox)
        append("2 sounds", to: &outbox, kind: .binary, of: Self.two)
        append("1c", to: &outbox)
        #expect(drain(&outbox, 1) == ["2 opens"])
        outbox.dropWaiting(of: Self.one)
        // 1b has number 3, so the client counts the frame as 4.
        #expect(drain(&outbox) == ["1b", "2 sounds"])
    }

    @Test func `a cancelled audio response is dropped with all its frames`() {
        var outbox = outbox()
        append("opens", to: &outbox)
        for _ in 0..<3 { append("frame", to: &outbox, kind: .binary) }
        append("ends", to: &outbox)
        _ = drain(&outbox, 2)
        outbox.dropWaiting(of: Self.one)
        #expect(!outbox.hasWaiting && outbox.count == 2)
    }

    @Test func `the count bound drops the oldest written messages, never waiting ones`() {
        var outbox = outbox(messages: 2)
        for text in ["a", "b", "c"] { append(text, to: &outbox) }
        #expect(outbox.count == 3)
        #expect(drain(&outbox, 1) == ["a"])
        #expect(outbox.count == 2)
        #expect(drain(&outbox) == ["b", "c"])
        #expect(outbox.count == 2)
        append("d", to: &outbox)
        #expect(outbox.count == 2)
        outbox.acknowledge(2)
        #expect(outbox.count == 2)
        outbox.acknowledge(3)
        #expect(outbox.count == 1)
    }

    @Test func `the byte bound drops the oldest written messages`() {
        var outbox = outbox(bytes: 10)
        append("12345", to: &outbox)
        append("67890", to: &outbox)
        _ = drain(&outbox)
        #expect(outbox.count == 2)
        append("x", to: &outbox)
        #expect(outbox.count == 2)
        outbox.acknowledge(1)
        #expect(outbox.count == 2)
    }

    @Test func `an emptied outbox holds no memory`() {
        var outbox = outbox()
        for _ in 0..<100 { append(String(repeating: "x", count: 1000), to: &outbox) }
        _ = drain(&outbox)
        outbox.acknowledge(.max)
        #expect(outbox.footprint == 0)
    }

    private struct Model {
        struct Message {
            let sequence: UInt64
            let text: String
            let request: RequestKey
            var isWritten = false
        }
        var messages: [Message] = []
        var last: UInt64 = 0

        mutating func trim(count: Int, bytes: Int) {
            while messages.first?.isWritten == true,
                messages.count > count || messages.reduce(0, { $0 + $1.text.utf8.count }) > bytes
            { messages.removeFirst() }
        }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `the outbox behaves like a plain list`(seed: UInt64) {
        var random = ULIDSource(seed: seed)
        let (maximumCount, maximumBytes) = (12, 150)
        var outbox = outbox(messages: maximumCount, bytes: maximumBytes)
        var model = Model()
        for step in 0..<4000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let request = RequestKey(number: UInt64.random(in: 1...3, using: &random))
                let text = "\(step)" + String(repeating: ".", count: Int.random(in: 0...30, using: &random))
                append(text, to: &outbox, of: request)
                model.last += 1
                model.messages.append(.init(sequence: model.last, text: text, request: request))
                model.trim(count: maximumCount, bytes: maximumBytes)
            case 5..<7:
                let limit = Int.random(in: 0...8, using: &random)
                let expected = model.messages.indices.filter { !model.messages[$0].isWritten }.prefix(limit)
                #expect(drain(&outbox, limit) == expected.map { model.messages[$0].text })
                for index in expected { model.messages[index].isWritten = true }
                model.trim(count: maximumCount, bytes: maximumBytes)
            case 7..<9:
                let sequence = UInt64.random(in: 0...model.last + 1, using: &random)
                outbox.acknowledge(sequence)
                while let first = model.messages.first, first.isWritten, first.sequence <= sequence { model.messages.removeFirst() }
            default:
                let request = RequestKey(number: UInt64.random(in: 1...3, using: &random))
                outbox.dropWaiting(of: request)
                model.messages.removeAll { !$0.isWritten && $0.request == request }
            }
            #expect(outbox.lastSequence == model.last)
            #expect(outbox.count == model.messages.count)
            let waiting = model.messages.filter { !$0.isWritten }
            #expect(outbox.hasWaiting == !waiting.isEmpty)
            #expect(outbox.waitingBytes == waiting.reduce(0) { $0 + $1.text.utf8.count })
        }
    }
}
