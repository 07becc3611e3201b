// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import Testing

/// A session with a loopback link and a client that reads slowly, cancels and acknowledges.
@Suite struct LoopbackSessionTests {
    private final class Harness: UpstreamEventSink {
        var session: Session
        private var effects = Effects(ids: ULIDSource(seed: 1), showsDetails: false)
        private var scanner = MessageScanner(rules: ValidationRules())
        private(set) lazy var link = LoopbackLink(session: self)
        /// Ids of accepted and completed requests, and the client's message counter.
        var accepted: [String] = []
        var done: [String] = []
        var counted: UInt64 = 0
        var errors: [String] = []

        init(_ policy: SessionPolicy) {
            session = Session(
                id: ULID(high: 0, low: 0), policy: SharedPolicy(policy), global: SharedLimiter(), now: Instant(nanoseconds: 0), wall: 0)
        }

        func send(_ json: String) {
            Array(json.utf8).withRawSpan { session.receive(text: $0, scanner: &scanner, effects: &effects) }
            perform()
        }

        func send(binary: [UInt8]) {
            binary.withRawSpan { session.receive(binary: $0, effects: &effects) }
            perform()
        }

        private func perform() {
            let commands = effects.commands
            let audio = effects.audio
            effects.clearCommands()
            for command in commands { link.send(command, audio: audio) }
            for reply in effects.replies { read(Array(effects.replyBytes[reply.start..<reply.start + reply.count])) }
            effects.clear()
        }

        func deliver(_ event: consuming UpstreamEvent) -> Bool {
            session.receive(event, effects: &effects)
            return true
        }

        func consumed(_ bytes: Int) { session.upstreamConsumed(bytes) }

        /// Reads up to `limit` sequenced messages and acknowledges them.
        func read(upTo limit: Int) {
            var messages: [[UInt8]?] = []
            session.outbox.drain { span, kind in
                guard messages.count < limit else { return false }
                var bytes: [UInt8] = []
                bytes.append(bytesOf: span)
                messages.append(kind == .json ? bytes : nil)
                return true
            }
            for message in messages {
                if let message { read(message) } else { counted += 1 }
            }
            send(#"{"type":"ack","seq":\#(counted)}"#)
        }

        private func read(_ json: [UInt8]) {
            guard let object = (try? JSONSerialization.jsonObject(with: Data(json))) as? [String: Any] else { return errors.append("json") }
            if let sequence = object["seq"] as? UInt64 {
                if sequence <= counted { errors.append("seq \(sequence) after \(counted)") }
                counted = sequence
            }
            switch object["type"] as? String {
            case "ack": if object["duplicate"] == nil, object["chunks"] as? Int != 0, let id = object["id"] as? String { addAccepted(id) }
            case "error": errors.append((object["error"] as? [String: Any])?["code"] as? String ?? "?")
            default: break
            }
            if object["done"] as? Bool == true, let id = object["reply_to"] as? String { done.append(id) }
        }

        private func addAccepted(_ id: String) {
            if !accepted.contains(id) { accepted.append(id) }
        }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `every accepted request completes once and releases its memory`(seed: UInt64) {
        var random = ULIDSource(seed: seed)
        var policy = SessionPolicy()
        policy.outboxMessages = 50
        let harness = Harness(policy)
        var open: String?
        var ids: [String] = []
        for number in 0..<400 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<3:
                let words = String(repeating: "w ", count: Int.random(in: 1...60, using: &random))
                ids.append("m\(number)")
                harness.send(#"{"type":"text","id":"m\#(number)","text":"\#(words)"}"#)
            case 3..<5:
                guard open == nil else { break }
                open = "u\(number)"
                ids.append("u\(number)")
                let meta = Bool.random(using: &random) ? #","meta":{"echo":"audio"}"# : ""
                harness.send(#"{"type":"audio","id":"u\#(number)","format":{"codec":"pcm16","rate":16000,"channels":1}\#(meta)}"#)
            case 5..<8:
                guard open != nil else { break }
                harness.send(binary: [UInt8](repeating: 1, count: 2 * Int.random(in: 1...20, using: &random)))
            case 8:
                guard let id = open else { break }
                open = nil
                harness.send(#"{"type":"audio","id":"\#(id)","final":true}"#)
            case 9:
                guard let id = ids.suffix(3).randomElement(using: &random) else { break }
                harness.send(#"{"type":"cancel","id":"\#(id)"}"#)
            case 10: harness.read(upTo: Int.random(in: 0...10, using: &random))
            default: harness.link.demand(Int.random(in: 0...40, using: &random))
            }
        }
        if let open { harness.send(#"{"type":"audio","id":"\#(open)","final":true}"#) }
        while harness.session.outbox.hasWaiting || !harness.session.inFlight.isEmpty {
            harness.link.demand(64)
            harness.read(upTo: .max)
        }
        #expect(harness.errors.allSatisfy { $0 == "not_found" })
        #expect(harness.done.count == Set(harness.done).count)
        #expect(Set(harness.accepted).subtracting(harness.done).isEmpty)
        #expect(Set(harness.done) == Set(ids))
        // The client's counter is correct: everything in the outbox was acknowledged.
        #expect(harness.session.outbox.count == 0)
        harness.session.updateMemoryUsage()
        #expect(harness.session.memoryUsage.upstreamQueue == 0)
        #expect(harness.session.memoryUsage.requests == 0)
        #expect(harness.session.memoryUsage.outbox <= 4096)
    }
}
