// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// Quotas as the client of a session sees them.
@Suite struct SessionQuotaTests {
    private static let day: Int64 = 86_400_000
    private let conversation: Conversation
    private let ledger = UsageLedger()
    private let account: UserAccount

    init() {
        account = UserAccount(user: "u1", ledger: ledger)
        var policy = SessionPolicy()
        policy.quotas = QuotaLimits()
        conversation = Conversation(policy)
        // 2023-11-14T12:00:00Z
        conversation.wall = 1_699_963_200_000
    }

    private var midnight: Int64 { conversation.wall - conversation.wall % Self.day + Self.day }

    private func limit(_ limits: [String: Double]) {
        var claims: [Quota: Double] = [:]
        for (name, limit) in limits { if let quota = Quota(name: name) { claims[quota] = limit } }
        conversation.session.setAccount(account, claims: claims)
    }

    private func route(_ key: RequestKey, _ stages: [(UpstreamRole, String)], _ change: (inout Price) -> Void = { _ in }) {
        var price = Price()
        change(&price)
        let tariff = RouteTariff(route: "talk", stages: stages.map { .init(role: $0.0, upstream: $0.1, price: price) })
        _ = conversation.perform { session, _, effects in session.setTariff(tariff, of: key, effects: &effects) }
    }

    private func finish(_ key: RequestKey, _ content: UpstreamEvent.Content, _ usage: Usage?, transcribe: Usage? = nil)
        -> Conversation.Outcome
    {
        conversation.perform { session, _, effects in
            var epilogue = UpstreamEvent.Epilogue(usage: usage)
            epilogue.transcribeUsage = transcribe
            session.receive(UpstreamEvent(key, content, isLast: true, epilogue: epilogue), effects: &effects)
        }
    }

    private func rows() -> [String: UsageAmounts] {
        let today = UTCDay(unixMilliseconds: conversation.wall)
        var found: [String: UsageAmounts] = [:]
        for (row, amounts) in ledger.rows(in: today.monthStart..<today.next) {
            found["\(row.day) \(row.route) \(row.upstream)", default: .zero] += amounts
        }
        return found
    }

    private var used: UsageAmounts { account.usage(wall: conversation.wall).day }
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    // MARK: Requests

    @Test func `a request over the quota of messages is rejected until the reset, and the session continues`() throws {
        limit(["messages_per_day": 2])
        for id in ["a", "b"] {
            let key = try conversation.begin(id)
            #expect(conversation.receive(key, .text(bytes("ok"), final: true), isLast: true).errors == [])
        }
        let outcome = conversation.send(#"{"type":"text","id":"c","text":"hello"}"#)
        let error = try #require(outcome.error)
        #expect(error["code"] as? String == "quota_exceeded")
        #expect(error["message"] as? String == "Quota used up: `quotas.messages_per_day` (2), until 2023-11-15T00:00:00Z")
        #expect(error["retryable"] as? Bool == true && error["fatal"] as? Bool == false)
        #expect(error["retry_after_ms"] as? Int == Int(midnight - conversation.wall))
        #expect(error["reply_to"] as? String == "c")
        #expect(!outcome.endsSession && outcome.commands.isEmpty)
        conversation.advance(milliseconds: midnight - conversation.wall - 1)
        #expect(conversation.send(#"{"type":"text","id":"c","text":"hello"}"#).errors == ["quota_exceeded"])
        conversation.advance(milliseconds: 1)
        try conversation.begin("c")
        #expect(used.messages == 1)
    }

    @Test func `the quota of a month is reset with the month`() throws {
        limit(["messages_per_month": 1])
        try conversation.begin("a")
        conversation.advance(milliseconds: 16 * Self.day)
        // 30 November
        #expect(conversation.send(#"{"type":"text","id":"b","text":"hello"}"#).error?["retry_after_ms"] as? Int == Int(Self.day / 2))
        conversation.advance(milliseconds: Self.day / 2)
        try conversation.begin("b")
    }

    @Test func `a repeated message is acknowledged and not counted again`() throws {
        limit(["messages_per_day": 1])
        try conversation.begin("a")
        let outcome = conversation.send(#"{"type":"text","id":"a","text":"hello"}"#)
        #expect(outcome.errors == [] && outcome.replies.first?["duplicate"] as? Bool == true)
        #expect(used.messages == 1)
    }

    @Test func `many rejected requests neither close the connection nor end the session`() throws {
        limit(["messages_per_day": 1])
        try conversation.begin("a")
        for number in 0..<500 {
            let outcome = conversation.send(#"{"type":"text","id":"n\#(number)","text":"hello"}"#)
            #expect(outcome.errors == ["quota_exceeded"] && outcome.closing == nil && !outcome.endsSession)
        }
    }

    @Test func `a session without a user is neither charged nor limited`() throws {
        conversation.session.setAccount(nil, claims: [:])
        for number in 0..<5 { try conversation.begin("a\(number)") }
        #expect(used == .zero)
    }

    @Test func `a commit that fails takes back the charge of the rejected request`() throws {
        limit(["messages_per_day": 5])
        conversation.beginStoring()
        try conversation.begin("a")
        #expect(used.messages == 1)
        _ = conversation.perform { session, _, effects in _ = session.rejectUncommitted(effects: &effects) }
        #expect(used == .zero)
        #expect(conversation.endStoring().usage.values.allSatisfy { $0 == .zero })
    }

    // MARK: Thresholds

    @Test func `the client is told at 80 % and at 95 %, once each`() throws {
        limit(["messages_per_day": 20])
        var told: [Int: Double] = [:]
        for number in 1...20 {
            for reply in conversation.send(#"{"type":"text","id":"n\#(number)","text":"hello"}"#).replies
            where reply["state"] as? String == "quota" {
                #expect(reply.type == "status" && reply["seq"] == nil)
                #expect(reply["quota"] as? String == "messages_per_day")
                #expect(reply["limit"] as? Double == 20)
                #expect(reply["resets_at"] as? Int == Int(midnight))
                told[number] = reply["used"] as? Double
            }
        }
        #expect(told == [16: 16, 19: 19])
    }

    @Test func `after a resume the client is told again, after the session message`() throws {
        limit(["messages_per_day": 5])
        for number in 1...4 { try conversation.begin("n\(number)") }
        conversation.detach()
        let outcome = conversation.resume(after: nil)
        #expect(outcome.replies.compactMap(\.type) == ["session", "status"])
        #expect(outcome.replies.last?["used"] as? Double == 4)
        // The notice on resume isn't repeated.
        let key = try #require(conversation.session.inFlight.first?.key)
        #expect(conversation.receive(key, .text(bytes("ok"), final: true), isLast: true).replies.isEmpty)
    }

    @Test func `a detached session tells nothing until it is resumed`() throws {
        limit(["output_tokens_per_day": 10])
        let key = try conversation.begin("a")
        conversation.detach()
        #expect(conversation.receive(key, .text(bytes(String(repeating: "x", count: 36)), final: false)).replies.isEmpty)
        #expect(conversation.resume(after: nil).replies.last?["used"] as? Double == 9)
    }

    @Test func `a new day is told of anew`() throws {
        limit(["messages_per_day": 1])
        #expect(conversation.send(#"{"type":"text","id":"a","text":"hello"}"#).replies.count == 2)
        conversation.advance(milliseconds: Self.day)
        #expect(conversation.send(#"{"type":"text","id":"b","text":"hello"}"#).replies.count == 2)
    }

    // MARK: Streams

    @Test(arguments: [(35, false), (36, false), (37, true)])
    func `a response ends with the delta that uses up the tokens`(size: Int, isStopped: Bool) throws {
        limit(["output_tokens_per_day": 10])
        let key = try conversation.begin("a")
        let outcome = conversation.receive(key, .text(bytes(String(repeating: "x", count: size)), final: false))
        #expect(outcome.sequenced.first?["text"] as? String == String(repeating: "x", count: size))
        #expect((outcome.sequenced.count == 2) == isStopped)
        #expect(outcome.commands.map(\.summary) == (isStopped ? ["cancel \(key.number)"] : []))
        guard isStopped else { return }
        let end = try #require(outcome.sequenced.last)
        #expect(end.error?["code"] as? String == "quota_exceeded")
        #expect(end["done"] as? Bool == true && end["finish"] as? String == "error" && end["reply_to"] as? String == "a")
        #expect(!outcome.endsSession && outcome.closing == nil)
        #expect(conversation.receive(key, .text(bytes("more"), final: false)).isEmpty)
        #expect(conversation.send(#"{"type":"text","id":"b","text":"hello"}"#).errors == ["quota_exceeded"])
    }

    @Test func `a response that is complete when the quota is used up isn't an error`() throws {
        limit(["output_tokens_per_day": 1])
        let outcome = conversation.receive(try conversation.begin("a"), .text(bytes("more than one token"), final: true), isLast: true)
        #expect(outcome.sequenced.count == 1 && outcome.sequenced.first?["done"] as? Bool == true)
    }

    @Test func `the sentence that is being spoken ends before the request does`() throws {
        limit(["audio_seconds_out_per_day": 1])
        let key = try conversation.begin("a")
        route(key, [(.respond, "chat"), (.synthesize, "voice")])
        let format = AudioFormat(codec: .pcm16, rate: 8000, channels: 1)
        let halfSecond = [UInt8](repeating: 0, count: 8000)
        #expect(conversation.receive(key, .audio(format)).commands.isEmpty)
        for _ in 0..<3 { #expect(conversation.receive(key, .audioChunk(halfSecond)).commands.isEmpty) }
        let outcome = conversation.receive(key, .sentence(characters: 12))
        #expect(outcome.commands.map(\.summary) == ["cancel \(key.number)"])
        #expect(outcome.sequenced.compactMap(\.type) == ["audio", "error"])
        #expect(outcome.sequenced.first?["final"] as? Bool == true)
        #expect(used.audioOut == 1_500_000)
    }

    @Test func `audio of another upstream ends with the chunk that uses up the quota`() throws {
        limit(["audio_seconds_out_per_day": 1])
        let key = try conversation.begin("a")
        route(key, [(.any, "bot")])
        _ = conversation.receive(key, .audio(AudioFormat(codec: .pcm16, rate: 8000, channels: 1)))
        #expect(conversation.receive(key, .audioChunk([UInt8](repeating: 0, count: 15_998))).commands.isEmpty)
        #expect(conversation.receive(key, .audioChunk([0, 0])).commands.map(\.summary) == ["cancel \(key.number)"])
    }

    @Test func `a chunk beyond the quota of audio ends the request of the stream`() throws {
        limit(["audio_seconds_in_per_day": 1])
        let key = try conversation.open("a")
        #expect(conversation.send(binary: [UInt8](repeating: 0, count: 31_998)).commands.count == 1)
        #expect(conversation.send(binary: [0, 0]).commands.map(\.summary) == ["audio \(key.number) 2"])
        #expect(used.audioIn == 1_000_000)
        let outcome = conversation.send(binary: [0, 0])
        #expect(outcome.commands.map(\.summary) == ["cancel \(key.number)"])
        #expect(outcome.sequenced.last?.error?["code"] as? String == "quota_exceeded")
        #expect(outcome.sequenced.last?["done"] as? Bool == true)
        // Further chunks of the stream are ignored, and don't count as violations.
        for _ in 0..<20 { #expect(conversation.send(binary: [0, 0]).isEmpty) }
        #expect(used.audioIn == 1_000_000)
        #expect(conversation.send(Conversation.opening("b")).errors == ["quota_exceeded"])
    }

    @Test func `audio that exactly uses up the quota is answered`() throws {
        limit(["audio_seconds_in_per_day": 1])
        let key = try conversation.open("a")
        _ = conversation.send(binary: [UInt8](repeating: 0, count: 32_000))
        #expect(conversation.send(#"{"type":"audio","id":"a","final":true}"#).commands.map(\.summary) == ["end \(key.number)"])
        let outcome = conversation.receive(
            key, .transcript(bytes("hi"), final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil), isLast: true)
        #expect(outcome.sequenced.first?["done"] as? Bool == true)
    }

    // MARK: Amounts

    @Test func `reported tokens replace the estimates`() throws {
        limit([:])
        let key = try conversation.begin("a", text: "twelve bytes")
        route(key, [(.respond, "chat")])
        #expect(used.inputTokens == 3)
        for _ in 0..<10 { _ = conversation.receive(key, .text(bytes("x"), final: false)) }
        #expect(used.outputTokens == 10)
        _ = finish(key, .text([], final: true), Usage(inputTokens: 40, outputTokens: 7))
        #expect(used.inputTokens == 40 && used.outputTokens == 7 && used.messages == 1)
        #expect(rows()["2023-11-14 talk chat"] == used)
    }

    @Test func `the estimate stands when the upstream reports nothing or the client cancels`() throws {
        limit([:])
        let key = try conversation.begin("a", text: "12345")
        route(key, [(.respond, "chat")])
        _ = conversation.receive(key, .text(bytes("123456789"), final: false))
        _ = conversation.send(#"{"type":"cancel","id":"a"}"#)
        #expect(used.inputTokens == 2 && used.outputTokens == 3)
        #expect(rows()["2023-11-14 talk chat"] == used)
    }

    @Test func `absurd numbers of an upstream are bounded`() throws {
        limit([:])
        let key = try conversation.begin("a")
        route(key, [(.respond, "chat")])
        _ = finish(key, .text([], final: true), Usage(inputTokens: .max, outputTokens: -5))
        #expect(used.inputTokens == 1 << 40 && used.outputTokens == 0)
    }

    @Test func `each stage of a chain is charged to its upstream at its price`() throws {
        limit([:])
        let key = try conversation.open("a")
        route(key, [(.transcribe, "ears"), (.respond, "chat"), (.synthesize, "voice")]) { price in
            price.per1kInputTokens = 1
            price.per1kOutputTokens = 2
            price.perAudioMinute = 6
            price.per1kCharacters = 10
        }
        _ = conversation.send(binary: [UInt8](repeating: 0, count: 32_000))
        _ = conversation.send(#"{"type":"audio","id":"a","final":true}"#)
        _ = conversation.receive(
            key, .transcript(bytes("hello"), final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil))
        _ = conversation.receive(key, .audio(AudioFormat(codec: .pcm16, rate: 8000, channels: 1)))
        _ = conversation.receive(key, .audioChunk([UInt8](repeating: 0, count: 32_000)))
        _ = conversation.receive(key, .sentence(characters: 20))
        _ = finish(
            key, .text([], final: true), Usage(inputTokens: 110, outputTokens: 60), transcribe: Usage(inputTokens: 10, outputTokens: 10))
        let rows = self.rows()
        let ears = try #require(rows["2023-11-14 talk ears"])
        #expect(ears.messages == 1 && ears.audioIn == 1_000_000 && ears.audioOut == 0)
        #expect(ears.inputTokens == 10 && ears.outputTokens == 10)
        #expect(ears.cost == 10_000 + 20_000 + 100_000)
        let chat = try #require(rows["2023-11-14 talk chat"])
        #expect(chat.messages == 0 && chat.inputTokens == 100 && chat.outputTokens == 50 && chat.cost == 200_000)
        let voice = try #require(rows["2023-11-14 talk voice"])
        #expect(voice.audioOut == 2_000_000 && voice.cost == 200_000 + 200_000)
        #expect(used.cost == ears.cost + chat.cost + voice.cost)
    }

    @Test func `small costs add up without rounding errors`() throws {
        limit([:])
        let key = try conversation.begin("a", text: "abcd")
        // 0.4 millionths of the unit for each token.
        route(key, [(.respond, "chat")]) { $0.per1kOutputTokens = 0.0004 }
        for _ in 0..<1000 { _ = conversation.receive(key, .text(bytes("x"), final: false)) }
        #expect(used.cost == 400)
    }

    @Test func `a quota of cost ends the response`() throws {
        limit(["cost_per_month": 0.005])
        let key = try conversation.begin("a")
        route(key, [(.respond, "chat")]) { $0.per1kOutputTokens = 1 }
        for _ in 0..<4 { #expect(conversation.receive(key, .text(bytes("x"), final: false)).commands.isEmpty) }
        let outcome = conversation.receive(key, .text(bytes("x"), final: false))
        #expect(
            outcome.sequenced.last?.error?["message"] as? String
                == "Quota used up: `quotas.cost_per_month` (0.005), until 2023-12-01T00:00:00Z")
    }

    @Test func `a response across midnight is charged to both days`() throws {
        limit([:])
        let key = try conversation.begin("a")
        route(key, [(.respond, "chat")])
        _ = conversation.receive(key, .text(bytes("12345678"), final: false))
        conversation.advance(milliseconds: Self.day)
        _ = conversation.receive(key, .text(bytes("1234"), final: false))
        #expect(used.messages == 0 && used.outputTokens == 1)
        _ = finish(key, .text([], final: true), nil)
        #expect(rows()["2023-11-14 talk chat"]?.outputTokens == 2)
        #expect(rows()["2023-11-15 talk chat"]?.outputTokens == 1)
        #expect(account.usage(wall: conversation.wall).month.outputTokens == 3)
    }

    // MARK: Reports to the client

    @Test func `the session message has the quotas, and the status report what is left of them`() throws {
        limit(["messages_per_day": 5, "audio_seconds_in_per_month": 90])
        let session = conversation.resume(after: nil).replies.first?["limits"] as? [String: Double]
        #expect(session?["quotas.messages_per_day"] == 5 && session?["quotas.audio_seconds_in_per_month"] == 90)
        try conversation.begin("a")
        let limits = conversation.status()["limits"] as? [String: Double]
        #expect(limits?["quotas.messages_per_day"] == 4 && limits?["quotas.audio_seconds_in_per_month"] == 90)
    }

    // MARK: The store

    @Test func `usage is in the batch of the change that it belongs to`() throws {
        limit([:])
        conversation.beginStoring()
        let key = try conversation.begin("a", text: "abcd")
        route(key, [(.respond, "chat")])
        let first = conversation.endStoring()
        #expect(first.usage.count == 1 && first.usage.values.first?.messages == 1 && !first.changes.isEmpty)
        conversation.beginStoring()
        _ = conversation.receive(key, .text(bytes("12345678"), final: false))
        let second = conversation.endStoring()
        #expect(second.usage.values.map(\.outputTokens) == [2])
        #expect(second.usage.values.map(\.messages) == [0])
        #expect(ledger.count == 0)
    }
}
