// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Testing

/// Messages whose commit fails.
@Suite struct SessionOutageTests {
    private static let opening = #"{"type":"audio","id":"u","format":{"codec":"pcm16","rate":16000,"channels":1}}"#

    /// A session whose changes are stored, and its records in the store.
    private final class Stored {
        let conversation = Conversation()
        var records: [RecordKind: [UInt64: [UInt8]]] = [:]

        func send(_ json: String) -> Conversation.Outcome { storing { conversation.send(json) } }

        func reject() -> Conversation.Outcome {
            storing { conversation.perform { session, _, effects in _ = session.rejectUncommitted(effects: &effects) } }
        }

        func commitAll() { conversation.session.markCommitted(first: conversation.session.acceptedCount) }

        private func storing(_ body: () -> Conversation.Outcome) -> Conversation.Outcome {
            conversation.beginStoring()
            let outcome = body()
            let batch = conversation.endStoring()
            for change in batch.changes {
                switch change {
                case .put(_, let kind, let number, let range): records[kind, default: [:]][number] = Array(batch.bytes[range])
                case .remove(_, let kind, let numbers):
                    records[kind] = records[kind]?.filter { !numbers.contains($0.key) }
                case .end: records = [:]
                case .tokens, .user: break
                }
            }
            return outcome
        }

        func count(_ kind: RecordKind) -> Int { records[kind]?.count ?? 0 }
    }

    private func text(_ id: String) -> String { #"{"type":"text","id":"\#(id)","text":"hello \#(id)"}"# }

    @Test func `a text whose commit fails is rejected, cancelled and forgotten, and can be sent again under its id`() throws {
        let stored = Stored()
        _ = stored.send(text("kept"))
        stored.commitAll()
        _ = stored.send(text("a"))
        _ = stored.send(text("b"))
        #expect(stored.count(.id) == 3 && stored.count(.history) == 3 && stored.count(.request) == 3)
        let outcome = stored.reject()
        #expect(outcome.errors == ["overloaded", "overloaded"])
        #expect(outcome.replies.compactMap { $0.error?["reply_to"] as? String } == ["a", "b"])
        #expect(outcome.replies.allSatisfy { $0.error?["retry_after_ms"] as? Int == 1000 && $0.error?["retryable"] as? Bool == true })
        #expect(outcome.commands.count == 2)
        #expect(stored.conversation.session.inFlight.map { "\($0.id)" } == ["kept"])
        #expect(stored.count(.id) == 1 && stored.count(.history) == 1 && stored.count(.request) == 1)
        #expect(stored.reject().isEmpty)
        // Sent again, the message is new.
        let again = stored.send(text("a"))
        #expect(again.texts == [#"{"type":"ack","id":"a"}"#])
        #expect(stored.count(.id) == 2 && stored.count(.history) == 2)
        #expect(stored.send(text("kept")).texts == [#"{"type":"ack","id":"kept","duplicate":true}"#])
    }

    @Test func `an unsent response is dropped with its rejected request, another response isn't`() throws {
        let stored = Stored()
        stored.conversation.isSocketOpen = false
        _ = stored.send(text("kept"))
        stored.commitAll()
        _ = stored.send(text("a"))
        let keys = stored.conversation.session.inFlight.map(\.key)
        for key in keys { _ = stored.conversation.receive(key, .text(Array("answer".utf8), final: true), isLast: true) }
        stored.conversation.isSocketOpen = true
        let outcome = stored.reject()
        #expect(outcome.errors == ["overloaded"] && outcome.commands.isEmpty)
        #expect(outcome.sequenced.map { $0["reply_to"] as? String } == ["kept"])
        #expect(stored.conversation.session.history.count == 2)
    }

    @Test func `an opening whose commit fails is rejected, and its chunks are ignored`() throws {
        let stored = Stored()
        _ = stored.send(Self.opening)
        #expect(stored.reject().errors == ["overloaded"])
        #expect(stored.conversation.send(binary: [0, 0]).isEmpty)
        #expect(stored.send(Self.opening).texts == [#"{"type":"ack","id":"u","chunks":0}"#])
    }

    @Test func `an open stream is rejected after its last accepted chunk and waits for from`() throws {
        let stored = Stored()
        _ = stored.send(Self.opening)
        stored.commitAll()
        _ = stored.conversation.send(binary: [0, 0])
        let error = try #require(stored.reject().error)
        #expect(error["code"] as? String == "overloaded" && error["reply_to"] as? String == "u" && error["chunk"] as? Int == 2)
        #expect(stored.reject().isEmpty)
        #expect(stored.conversation.send(binary: [0, 0]).isEmpty)
        #expect(stored.send(#"{"type":"audio","id":"u","from":2}"#).texts == [#"{"type":"ack","id":"u","chunks":1}"#])
        #expect(stored.conversation.session.inFlight.count == 1)
    }

    @Test func `a recording whose end isn't committed is rejected as a whole`() throws {
        let stored = Stored()
        _ = stored.send(Self.opening)
        stored.commitAll()
        _ = stored.conversation.send(binary: [0, 0])
        _ = stored.send(#"{"type":"audio","id":"u","final":true}"#)
        let outcome = stored.reject()
        #expect(outcome.errors == ["overloaded"] && outcome.error?["chunk"] == nil)
        #expect(stored.conversation.session.inFlight.isEmpty)
        #expect(stored.send(Self.opening).texts == [#"{"type":"ack","id":"u","chunks":0}"#])
    }

    @Test func `messages that were committed before the failure aren't rejected`() throws {
        let stored = Stored()
        _ = stored.send(text("a"))
        let accepted = stored.conversation.session.acceptedCount
        _ = stored.send(text("b"))
        stored.conversation.session.markCommitted(first: accepted)
        #expect(stored.reject().replies.compactMap { $0.error?["reply_to"] as? String } == ["b"])
        // An earlier commit has no further effect.
        stored.conversation.session.markCommitted(first: accepted)
        _ = stored.send(text("c"))
        #expect(stored.reject().replies.compactMap { $0.error?["reply_to"] as? String } == ["c"])
    }

    @Test func `without a store, nothing is rejected`() {
        let conversation = Conversation()
        _ = conversation.send(text("a"))
        #expect(conversation.perform { session, _, effects in _ = session.rejectUncommitted(effects: &effects) }.isEmpty)
        #expect(conversation.session.inFlight.count == 1)
    }
}
