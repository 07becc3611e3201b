// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionSupervisionTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func `a text during a takeover is acknowledged and kept from the upstream`() throws {
        let conversation = Conversation()
        #expect(try conversation.command(.takeOver).report.answeredBy == "ada")
        #expect(conversation.isTakenOver)
        let outcome = conversation.send(#"{"type":"text","id":"m1","text":"hello"}"#)
        #expect(outcome.texts == [#"{"type":"ack","id":"m1"}"#] && outcome.commands.isEmpty)
        #expect(conversation.session.history.count == 1)
    }

    @Test func `the operator's answer replies to the oldest open request and ends it`() throws {
        let conversation = Conversation()
        _ = try conversation.command(.takeOver)
        for id in ["m1", "m2"] { _ = conversation.send(#"{"type":"text","id":"\#(id)","text":"hello"}"#) }
        let (report, outcome) = try conversation.command(.say(bytes("hi")))
        #expect(
            outcome.sequenced.map(\.text) == [
                #"{"type":"text","seq":1,"reply_to":"m1","text":"hi","final":true,"done":true,"finish":"stop"}"#
            ])
        #expect(report.sequence == 1 && report.replyTo == MessageID("m1") && report.push == nil && report.openRequests == 1)
        #expect(try conversation.command(.say(bytes("again"))).report.replyTo == MessageID("m2"))
        #expect(conversation.session.inFlight.isEmpty && conversation.session.memoryUsage.upstreamQueue == 0)
        #expect(conversation.session.history.count == 4)
    }

    @Test func `without an open request the operator's answer is a push`() throws {
        let conversation = Conversation()
        _ = try conversation.command(.takeOver)
        let (report, outcome) = try conversation.command(.say(bytes("are you there?")))
        #expect(outcome.sequenced.first?["push"] != nil && outcome.sequenced.first?["reply_to"] == nil)
        #expect(report.push != nil && report.replyTo == nil && report.sequence == 1)
    }

    @Test func `handback sends unanswered texts to the upstream, and later ones as usual`() throws {
        let conversation = Conversation()
        _ = try conversation.command(.takeOver)
        for id in ["m1", "m2"] { _ = conversation.send(#"{"type":"text","id":"\#(id)","text":"hello"}"#) }
        _ = try conversation.command(.say(bytes("hi")))
        let (report, outcome) = try conversation.command(.handBack)
        #expect(report.answeredBy == nil && outcome.commands.map(\.summary) == ["start m2"])
        #expect(!conversation.isTakenOver)
        #expect(try conversation.begin("m3").number == 3)
    }

    @Test func `requests that began before the takeover continue`() throws {
        let conversation = Conversation()
        let key = try conversation.begin("m1")
        #expect(try conversation.command(.takeOver).outcome.commands.isEmpty)
        #expect(conversation.receive(key, .text(bytes("answer"), final: true), isLast: true).sequenced.count == 1)
    }

    @Test func `a recording during a takeover is acknowledged, answered with a text, and not sent to the upstream`() throws {
        let conversation = Conversation()
        _ = try conversation.command(.takeOver)
        #expect(conversation.send(Conversation.opening("u1")).commands.isEmpty)
        #expect(conversation.send(binary: [0, 0, 0, 0]).commands.isEmpty)
        let end = conversation.send(#"{"type":"audio","id":"u1","final":true}"#)
        #expect(end.commands.isEmpty && end.texts == [#"{"type":"ack","id":"u1","chunks":1}"#])
        #expect(try conversation.command(.say(bytes("hi"))).report.replyTo == MessageID("u1"))
    }

    @Test func `an unanswered recording fails on handback, retryably`() throws {
        let conversation = Conversation()
        _ = try conversation.command(.takeOver)
        _ = conversation.send(Conversation.opening("u1"))
        _ = conversation.send(binary: [0, 0])
        let outcome = try conversation.command(.handBack).outcome
        #expect(outcome.commands.isEmpty)
        let error = outcome.sequenced.first?.error
        #expect(error?["code"] as? String == "upstream_unavailable" && error?["retryable"] as? Bool == true)
        // The stream is closed: the next one may begin.
        #expect(conversation.send(Conversation.opening("u2")).commands.map(\.summary) == ["start u2"])
    }

    @Test func `a client cancels a request that waits for an operator`() throws {
        let conversation = Conversation()
        _ = try conversation.command(.takeOver)
        _ = conversation.send(#"{"type":"text","id":"m1","text":"hello"}"#)
        _ = conversation.send(#"{"type":"cancel","id":"m1"}"#)
        #expect(conversation.session.inFlight.isEmpty && conversation.session.memoryUsage.upstreamQueue == 0)
        #expect(try conversation.command(.handBack).outcome.commands.isEmpty)
    }

    @Test func `the session is handed back when the operator is idle for the timeout`() throws {
        var policy = SessionPolicy()
        policy.takeoverTimeout = 1_000_000_000
        let conversation = Conversation(policy)
        #expect(try conversation.command(.takeOver).report.handsBackIn == 1000)
        _ = conversation.send(#"{"type":"text","id":"m1","text":"hello"}"#)
        conversation.advance(milliseconds: 999)
        #expect(conversation.tick().commands.isEmpty && conversation.isTakenOver)
        // Every command of the operator postpones it.
        _ = try conversation.command(.whisper(bytes("be brief")))
        conversation.advance(milliseconds: 999)
        #expect(conversation.tick().commands.isEmpty && conversation.idleOperator == nil)
        conversation.advance(milliseconds: 1)
        #expect(conversation.idleOperator == "ada")
        #expect(conversation.tick().commands.map(\.summary) == ["start m1"])
        #expect(!conversation.isTakenOver && conversation.idleOperator == nil && conversation.tick().commands.isEmpty)
    }

    @Test func `commands that the state doesn't allow are rejected`() throws {
        let conversation = Conversation()
        #expect(throws: SupervisionFault.notTakenOver) { try conversation.command(.say(bytes("hi"))) }
        #expect(throws: SupervisionFault.notTakenOver) { try conversation.command(.handBack) }
        _ = try conversation.command(.takeOver)
        _ = try conversation.command(.takeOver)
        #expect(throws: SupervisionFault.takenOver(by: "ada")) { try conversation.command(.takeOver, by: "grace") }
        #expect(throws: SupervisionFault.takenOver(by: "ada")) { try conversation.command(.say(bytes("hi")), by: "grace") }
        // Another operator may end the takeover.
        _ = try conversation.command(.handBack, by: "grace")
        #expect(try conversation.command(.takeOver, by: "grace").report.answeredBy == "grace")
    }

    @Test func `whispers go to the upstream with the next request, once`() throws {
        let conversation = Conversation()
        _ = try conversation.command(.whisper(bytes("offer a discount")))
        #expect(try conversation.command(.whisper(bytes("be brief"))).report.whispers == 2)
        let request = try started(conversation.send(#"{"type":"text","id":"m1","text":"hello"}"#))
        #expect(text(request.whisper) == "offer a discount\nbe brief")
        #expect(try started(conversation.send(#"{"type":"text","id":"m2","text":"hello"}"#)).whisper.isEmpty)
    }

    @Test func `whispers during a takeover wait for the handback`() throws {
        let conversation = Conversation()
        _ = try conversation.command(.takeOver)
        _ = try conversation.command(.whisper(bytes("be brief")))
        _ = conversation.send(#"{"type":"text","id":"m1","text":"hello"}"#)
        #expect(text(try started(conversation.command(.handBack).outcome).whisper) == "be brief")
    }

    @Test func `at most 16 whispers and 100 KB wait`() throws {
        let many = Conversation()
        for _ in 1...16 { _ = try many.command(.whisper(bytes("a"))) }
        #expect(throws: SupervisionFault.whispersFull) { try many.command(.whisper(bytes("a"))) }
        _ = try many.begin("m1")
        _ = try many.command(.whisper(bytes("a")))

        let long = Conversation()
        _ = try long.command(.whisper([UInt8](repeating: 0x61, count: 99_999)))
        _ = try long.command(.whisper(bytes("a")))
        #expect(throws: SupervisionFault.whispersFull) { try long.command(.whisper(bytes("a"))) }
    }

    @Test func `commands are events of the timeline`() throws {
        let conversation = Conversation()
        for command in [.takeOver, .say(bytes("hi")), .whisper(bytes("a")), .handBack] as [SupervisionCommand] {
            _ = try conversation.command(command)
        }
        #expect(
            conversation.report(.metadata).events.map(\.what) == [
                .supervised(.takeover), .supervised(.say), .supervised(.whisper), .supervised(.handback),
            ])
    }

    @Test func `after a restart the upstream answers, also the texts of the takeover`() throws {
        let conversation = Conversation()
        conversation.beginStoring()
        _ = try conversation.command(.takeOver)
        _ = conversation.send(#"{"type":"text","id":"m1","text":"hello"}"#)
        let restored = Conversation()
        #expect(try restored.restore([conversation.endStoring()]).commands.map(\.summary) == ["start m1"])
        #expect(restored.report(.metadata).events.contains { $0.what == .supervised(.takeover) })
    }
}

extension Conversation {
    var isTakenOver: Bool { session.isTakenOver }
    var idleOperator: String? { session.idleOperator(at: now) }

    /// Performs an operator's command, and returns its report and the effects.
    @discardableResult
    func command(_ command: SupervisionCommand, by name: String = "ada") throws -> (report: SupervisionReport, outcome: Outcome) {
        var result = Result<SupervisionReport, SupervisionFault>.failure(.notTakenOver)
        let outcome = perform { session, _, effects in
            do throws(SupervisionFault) {
                result = .success(try session.perform(command, by: name, effects: &effects))
            } catch {
                result = .failure(error)
            }
        }
        return (try result.get(), outcome)
    }
}
