// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionPushTests {
    private static let id = ULID(high: 7, low: 9)

    private func push(_ content: PushContent, ttl: Int64? = nil, id: ULID = id, to audience: Push.Audience = .session) -> Push {
        Push(id: id, PushRequest(content, timeToLive: ttl), to: audience)
    }

    private func text(_ text: String, ttl: Int64? = nil) -> Push { push(.text(Array(text.utf8)), ttl: ttl) }

    private static let format = AudioFormat(codec: .mulaw, rate: 8000, channels: 1)

    @Test func `a pushed text is sequenced, has its id, and replies to nothing`() {
        let conversation = Conversation()
        let (outcome, messages) = conversation.push(text("hi"))
        #expect(outcome == .queued(sequence: 1, key: RequestKey(number: 1)))
        #expect(messages.map(\.text) == [#"{"type":"text","seq":1,"push":{"id":"\#(Self.id)"},"text":"hi","final":true}"#])
        let status = conversation.push(push(.status(state: "shipped", progress: 0.5))).messages
        #expect(status.map(\.text) == [#"{"type":"status","seq":2,"push":{"id":"\#(Self.id)"},"state":"shipped","progress":0.5}"#])
    }

    @Test func `pushed audio is an opening, frames of at most 16 KiB, and an end`() {
        let conversation = Conversation()
        let (outcome, messages) = conversation.push(push(.audio(Self.format, [UInt8](repeating: 3, count: 16_385))))
        #expect(outcome == .queued(sequence: 4, key: RequestKey(number: 1)))
        #expect(messages.map(\.isBinary) == [false, true, true, false])
        #expect(messages.map(\.bytes.count)[1...2] == [16_384, 1])
        #expect(messages[0]["seq"] as? Int == 1 && messages[0]["final"] == nil)
        #expect(messages[3]["seq"] as? Int == 4 && messages[3]["final"] as? Bool == true)
    }

    @Test func `an Opus packet is one frame`() {
        let packet = [UInt8](repeating: 0, count: 20_000)
        let messages = Conversation().push(push(.audio(AudioFormat(codec: .opus, rate: 48_000, channels: 1), packet))).messages
        #expect(messages.map(\.bytes.count)[1] == 20_000 && messages.count == 3)
    }

    @Test func `a pushed text is part of the conversation`() throws {
        let conversation = Conversation()
        _ = conversation.push(text("Your parcel is here."))
        let key = try conversation.begin("m1")
        #expect(
            conversation.session.history.conversation(before: key, lines: 10, bytes: 1000).map(\.text) == [
                Array("Your parcel is here.".utf8)
            ])
    }

    @Test func `an acknowledged push is no longer pending`() {
        let conversation = Conversation()
        _ = conversation.push(text("a", ttl: 1000))
        _ = conversation.push(text("b"))
        #expect(conversation.session.pendingPushes == 2)
        _ = conversation.send(#"{"type":"ack","seq":1}"#)
        #expect(conversation.session.pendingPushes == 1 && conversation.session.nextPushDeadline == nil)
        #expect(conversation.session.takePushes().map(\.reason) == [.sessionEnded])
        #expect(conversation.session.takePushes().isEmpty)
    }

    @Test func `a resume acknowledges the pushes that the client received`() {
        let conversation = Conversation()
        _ = conversation.push(text("a"))
        _ = conversation.push(text("b"))
        conversation.detach()
        #expect(conversation.resume(after: 1).sequenced.map { $0["seq"] as? Int } == [2])
        #expect(conversation.session.pendingPushes == 1)
    }

    @Test func `a detached session keeps a push for the resume`() {
        let conversation = Conversation()
        conversation.detach()
        conversation.isSocketOpen = false
        _ = conversation.push(text("while you were away"))
        conversation.isSocketOpen = true
        #expect(conversation.resume(after: 0).sequenced.map { $0["text"] as? String } == ["while you were away"])
    }

    // MARK: Time to live

    @Test func `a push expires at the end of its time to live, not before`() {
        let conversation = Conversation()
        _ = conversation.push(text("a", ttl: 1000))
        #expect(conversation.session.nextPushDeadline == conversation.wall + 1000)
        #expect(conversation.session.expirePushes(wall: conversation.wall + 999).isEmpty)
        #expect(conversation.session.expirePushes(wall: conversation.wall + 1000).map(\.reason) == [.expired])
        #expect(conversation.session.expirePushes(wall: conversation.wall + 2000).isEmpty)
    }

    @Test func `an expired push that wasn't written isn't delivered, and the next message skips its number`() {
        let conversation = Conversation()
        conversation.detach()
        conversation.isSocketOpen = false
        _ = conversation.push(text("late", ttl: 1000))
        _ = conversation.push(text("kept"))
        #expect(conversation.session.expirePushes(wall: conversation.wall + 1000).count == 1)
        conversation.isSocketOpen = true
        let resumed = conversation.resume(after: 0)
        #expect(resumed.sequenced.map { $0["text"] as? String } == ["kept"] && resumed.sequenced.map { $0["seq"] as? Int } == [2])
        #expect(resumed.replies.first?["lost"] as? Bool == false)
        #expect(conversation.session.history.withText(at: 0) { $1.inclusion } == .excluded)
    }

    @Test func `an expired push that was written but not acknowledged isn't replayed`() {
        let conversation = Conversation()
        #expect(conversation.push(text("late", ttl: 1000)).messages.count == 1)
        _ = conversation.session.expirePushes(wall: conversation.wall + 1000)
        conversation.detach()
        #expect(conversation.resume(after: 0).sequenced.isEmpty)
        #expect(conversation.push(text("next")).messages.map { $0["seq"] as? Int } == [2])
    }

    @Test func `an expired push before a frame of a response becomes an empty status, because frames can't skip numbers`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        conversation.isSocketOpen = false
        _ = conversation.receive(key, .audio(Self.format))
        _ = conversation.push(text("late", ttl: 1000))
        _ = conversation.receive(key, .audioChunk([1, 2]))
        _ = conversation.session.expirePushes(wall: conversation.wall + 1000)
        conversation.isSocketOpen = true
        let sent = conversation.tick().sequenced
        #expect(sent.map(\.isBinary) == [false, false, true])
        #expect(sent[1].text == #"{"type":"status","seq":2,"push":{"id":"\#(Self.id)"},"state":"expired"}"#)
        #expect(conversation.session.outbox.waitingBytes == 0)
    }

    @Test func `expired audio that wasn't begun isn't delivered, and begun audio is cut at its end`() {
        let recording = [UInt8](repeating: 1, count: 40_000)
        let unread = Conversation()
        unread.isSocketOpen = false
        _ = unread.push(push(.audio(Self.format, recording), ttl: 1000))
        _ = unread.session.expirePushes(wall: unread.wall + 1000)
        unread.isSocketOpen = true
        #expect(unread.tick().sequenced.isEmpty && unread.session.outbox.waitingBytes == 0)

        let begun = Conversation()
        begun.isSocketOpen = false
        _ = begun.push(push(.audio(Self.format, recording), ttl: 1000))
        var written = 0
        begun.session.outbox.drain { _, _ in
            written += 1
            return written <= 2
        }
        _ = begun.session.expirePushes(wall: begun.wall + 1000)
        begun.isSocketOpen = true
        let rest = begun.tick().sequenced
        #expect(rest.map { $0["final"] as? Bool } == [true] && rest.first?["seq"] as? Int == 5)
        // A client that resumes gets the begun audio again: opening, the written frame, the end.
        begun.detach()
        #expect(begun.resume(after: 0).sequenced.map(\.isBinary) == [false, true, false])
    }

    // MARK: Bounds

    @Test func `a push that doesn't fit into the outbox fails and drops nothing`() {
        var policy = SessionPolicy()
        policy.outboxMessages = 2
        let conversation = Conversation(policy)
        conversation.detach()
        conversation.isSocketOpen = false
        #expect(conversation.push(text("a")).outcome != .failed(.outboxFull))
        #expect(conversation.push(text("b")).outcome != .failed(.outboxFull))
        #expect(conversation.push(text("c")).outcome == .failed(.outboxFull))
        conversation.isSocketOpen = true
        #expect(conversation.resume(after: 0).sequenced.count == 2)
        // Once written, the oldest give way.
        #expect(conversation.push(text("d")).outcome != .failed(.outboxFull))
    }

    @Test func `the size of a push counts toward the bytes of the outbox`() {
        var policy = SessionPolicy()
        policy.outboxBytes = 2000
        let conversation = Conversation(policy)
        conversation.isSocketOpen = false
        let room = 2000 - 512
        #expect(conversation.push(text(String(repeating: "a", count: room + 1))).outcome == .failed(.outboxFull))
        #expect(conversation.push(text(String(repeating: "a", count: room))).outcome != .failed(.outboxFull))
    }

    @Test func `at most 256 pushes may be pending`() {
        let conversation = Conversation()
        for number in 1...PendingPushes.limit {
            #expect(conversation.push(text("a")).outcome == .queued(sequence: UInt64(number), key: RequestKey(number: UInt64(number))))
        }
        #expect(conversation.push(text("a")).outcome == .failed(.outboxFull))
        _ = conversation.send(#"{"type":"ack","seq":1}"#)
        #expect(conversation.push(text("a")).outcome != .failed(.outboxFull))
    }

    @Test func `a push over the memory budget fails, and the session goes on`() {
        var policy = SessionPolicy()
        policy.memoryBudget = 60_000
        let conversation = Conversation(policy)
        #expect(conversation.push(text(String(repeating: "a", count: 60_000))).outcome == .failed(.memoryLimit))
        #expect(conversation.push(text("a")).messages.count == 1)
        let exhausted = conversation.perform { session, _, effects in
            effects.memoryLeft = 0
            #expect(session.push(text("a"), effects: &effects) == .failed(.memoryLimit))
            effects.memoryLeft = .max
        }
        #expect(exhausted.sequenced.isEmpty)
    }

    @Test func `audio isn't pushed into a spoken response, but texts are`() throws {
        let conversation = Conversation()
        let audio = push(.audio(Self.format, [1]))
        let key = try conversation.begin("m1")
        _ = conversation.receive(key, .audio(Self.format))
        #expect(conversation.push(audio).outcome == .failed(.audioOpen))
        #expect(conversation.push(text("a")).messages.count == 1)
        _ = conversation.receive(key, .audioEnd(Self.format))
        #expect(conversation.push(audio).messages.count == 3)
    }

    @Test func `nothing is pushed while the store can't commit, nor into an ended session`() {
        let conversation = Conversation()
        _ = conversation.perform { session, _, effects in
            effects.rejectsWork = true
            #expect(session.push(text("a"), effects: &effects) == .failed(.storeUnavailable))
            effects.rejectsWork = false
        }
        _ = conversation.send(#"{"type":"bye"}"#)
        #expect(conversation.push(text("a")).outcome == .failed(.sessionEnded))
    }

    // MARK: Storage

    @Test func `pending pushes survive a restart with their time to live`() throws {
        let conversation = Conversation()
        conversation.beginStoring()
        conversation.isSocketOpen = false
        _ = conversation.push(text("a", ttl: 5000))
        _ = conversation.push(push(.audio(Self.format, [1, 2]), to: .user("ada")))
        _ = conversation.push(push(.status(state: "s", progress: 0.25), to: .all))
        let restored = Conversation()
        _ = try restored.restore([conversation.endStoring()])
        #expect(restored.session.pendingPushes == 3 && restored.session.nextPushDeadline == conversation.wall + 5000)
        let failed = restored.session.expirePushes(wall: conversation.wall + 5000)
        #expect(failed.map(\.push.request) == [PushRequest(.text(Array("a".utf8)), timeToLive: 5000)])
        let rest = restored.session.takePushes().map(\.push)
        #expect(rest.map(\.audience) == [.user("ada"), .all])
        #expect(rest.map(\.content) == [.audio(Self.format, [1, 2]), .status(state: "s", progress: 0.25)])
        #expect(restored.resume(after: 0).sequenced.map(\.isBinary) == [false, true, false, false])
    }

    @Test func `an acknowledged or expired push leaves the store`() throws {
        let conversation = Conversation()
        conversation.beginStoring()
        _ = conversation.push(text("a"))
        _ = conversation.push(text("b", ttl: 1000))
        let first = conversation.endStoring()
        conversation.beginStoring()
        _ = conversation.send(#"{"type":"ack","seq":1}"#)
        _ = conversation.session.expirePushes(wall: conversation.wall + 1000)
        let restored = Conversation()
        _ = try restored.restore([first, conversation.endStoring()])
        #expect(restored.session.pendingPushes == 0)
        #expect(restored.resume(after: 1).sequenced.isEmpty)
    }

    @Test func `a push whose commit failed is withdrawn`() {
        let conversation = Conversation()
        conversation.isSocketOpen = false
        guard case .queued(_, let key) = conversation.push(text("a")).outcome else { return }
        conversation.session.withdrawPush(key)
        conversation.isSocketOpen = true
        #expect(conversation.tick().sequenced.isEmpty && conversation.session.pendingPushes == 0)
    }

    @Test func `a push that the outbox dropped is reported when the client resumes`() {
        var policy = SessionPolicy()
        policy.outboxMessages = 2
        let conversation = Conversation(policy)
        for name in ["a", "b", "c"] { _ = conversation.push(text(name)) }
        conversation.detach()
        #expect(conversation.resume(after: 0).replies.first?["lost"] as? Bool == true)
        #expect(conversation.session.takeLostPushes().map(\.push.content) == [.text(Array("a".utf8))])
        #expect(conversation.session.pendingPushes == 2)
    }
}

extension Conversation {
    /// Pushes a message, and returns the outcome and the messages that are sent.
    func push(_ push: Push) -> (outcome: PushOutcome, messages: [Message]) {
        var result = PushOutcome.failed(.noSession)
        let outcome = perform { session, _, effects in result = session.push(push, effects: &effects) }
        return (result, outcome.sequenced)
    }
}

extension Conversation {
    /// Restores the session from committed batches.
    func restore(_ batches: [StoreBatch]) throws -> Outcome {
        var records: [RecordKind: [UInt64: [UInt8]]] = [:]
        for batch in batches {
            for change in batch.changes {
                switch change {
                case .put(_, let kind, let number, let range): records[kind, default: [:]][number] = Array(batch.bytes[range])
                case .remove(_, let kind, let numbers): records[kind] = records[kind]?.filter { !numbers.contains($0.key) }
                case .end: records = [:]
                case .tokens, .user: break
                }
            }
        }
        var stored = StoredSession(id: Self.id)
        for (kind, entries) in records {
            stored.records[kind] = entries.sorted { $0.key < $1.key }.map { .init(number: $0.key, bytes: $0.value) }
        }
        isSocketOpen = false
        defer { isSocketOpen = true }
        var failure: (any Error)?
        let outcome = perform { session, _, effects in
            do { try session.restore(stored, effects: &effects) } catch { failure = error }
        }
        if let failure { throw failure }
        return outcome
    }
}
