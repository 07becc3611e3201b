// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import NIOHTTP1
import ParleyClient
import Testing

@Suite struct TalkMessagesTests {
    private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test(
        arguments: [
            (.ping(id: "p1", milliseconds: 5), #"{"id":"p1","ts":5,"type":"ping"}"#),
            (.text(id: "t1", text: "a/\"b\"\n☃"), #"{"id":"t1","text":"a/\"b\"\n☃","type":"text"}"#),
            (.text(id: "t1", text: "a", lang: "en", streams: false), #"{"id":"t1","lang":"en","stream":false,"text":"a","type":"text"}"#),
            (
                .openAudio(id: "a1", format: AudioFormat(codec: .pcm16, rate: 16000, channels: 1), meta: ["echo": "audio"]),
                #"{"format":{"channels":1,"codec":"pcm16","rate":16000},"id":"a1","meta":{"echo":"audio"},"type":"audio"}"#
            ),
            (
                .text(id: "t1", text: "a", speaks: true),
                #"{"id":"t1","output":{"format":{"channels":1,"codec":"pcm16","rate":24000},"modalities":["text","audio"]},"text":"a","type":"text"}"#
            ),
            (.resumeAudio(id: "a1", from: 9), #"{"from":9,"id":"a1","type":"audio"}"#),
            (.endAudio(id: "a1"), #"{"final":true,"id":"a1","type":"audio"}"#),
            (.status(id: "s1"), #"{"id":"s1","type":"status"}"#),
            (.cancel(id: "t1", reason: "user"), #"{"id":"t1","reason":"user","type":"cancel"}"#),
            (.acknowledge(64), #"{"seq":64,"type":"ack"}"#),
            (.bye, #"{"type":"bye"}"#),
        ] as [(ClientRequest, String)])
    func `requests are encoded as the protocol's messages`(request: ClientRequest, json: String) {
        #expect(request.json == json)
    }

    @Test func `the text of an error has its code, message, request, correlation id and delay`() throws {
        let message = try ServerMessage(
            json: #"""
                {"type":"error","error":{"code":"rate_limited","message":"60 texts a minute\u001b[31m","param":null,"reply_to":"m61",
                 "correlation_id":"01K","retryable":true,"retry_after_ms":12000,"fatal":false,"new":{}}}
                """#)
        #expect(message.request == "m61")
        let error = try #require(message.error)
        #expect(
            ClientText.error(error)
                == #"rate_limited: 60 texts a minute\u001b[31m (reply to m61, correlation id 01K, retry after 12.00 s)"#)
    }

    @Test(arguments: ["", "no json", "[]", "{}", #"{"type":7}"#, #"{"type":"text","seq":"1"}"#, #"{"type":"error","error":{}}"#])
    func `malformed messages of the gateway are rejected`(json: String) {
        #expect(throws: DecodingError.self) { _ = try ServerMessage(json: json) }
    }

    @Test func `latencies are measured from the request, or from the end of its audio`() throws {
        var exchange = Exchange(id: "t1", kind: .text, sentAt: Self.at(1000))
        exchange.record(try ServerMessage(json: #"{"type":"ack","id":"t1"}"#), now: Instant(nanoseconds: 1_001_200_000))
        exchange.record(try ServerMessage(json: #"{"type":"text","seq":1,"reply_to":"t1","text":"a","final":false}"#), now: Self.at(1010))
        #expect(!exchange.isComplete)
        exchange.record(
            try ServerMessage(json: #"{"type":"text","seq":2,"reply_to":"t1","text":"","final":true,"done":true}"#), now: Self.at(3345))
        #expect(exchange.isComplete)
        #expect(exchange.timing == "ack 1.2 ms, first 10.0 ms, done 2.35 s")

        var audio = Exchange(id: "a1", kind: .audio, sentAt: Self.at(0))
        audio.record(try ServerMessage(json: #"{"type":"ack","id":"a1","chunks":0}"#), now: Self.at(1))
        audio.ended(now: Self.at(2000))
        #expect(audio.timing.isEmpty)
        audio.record(try ServerMessage(json: #"{"type":"ack","id":"a1","chunks":99}"#), now: Self.at(2001))
        audio.record(
            try ServerMessage(json: #"{"type":"transcript","seq":1,"reply_to":"a1","text":"a","final":true,"done":true}"#),
            now: Self.at(2005))
        #expect(audio.timing == "ack 1.0 ms, first 5.0 ms, done 5.0 ms")
    }

    @Test func `a request completes when it is cancelled, rejected or a duplicate`() throws {
        for json in [
            #"{"type":"status","seq":1,"reply_to":"t1","state":"cancelled","done":true}"#,
            #"{"type":"error","error":{"code":"rate_limited","message":"m","reply_to":"t1"}}"#,
            #"{"type":"ack","id":"t1","duplicate":true}"#,
        ] {
            var exchange = Exchange(id: "t1", kind: .text, sentAt: Self.at(0))
            let message = try ServerMessage(json: json)
            #expect(message.request == "t1")
            exchange.record(message, now: Self.at(1))
            #expect(exchange.isComplete)
        }
    }

    @Test func `a request that was sent again stays open after a duplicate ack`() throws {
        var exchange = Exchange(id: "t1", kind: .text, sentAt: Self.at(0))
        exchange.resent()
        exchange.record(try ServerMessage(json: #"{"type":"ack","id":"t1","duplicate":true}"#), now: Self.at(1))
        #expect(!exchange.isComplete)
        exchange.record(try ServerMessage(json: #"{"type":"text","seq":1,"reply_to":"t1","text":"a","done":true}"#), now: Self.at(2))
        #expect(exchange.isComplete)
    }

    @Test func `a session message contains the open audio stream`() throws {
        let message = try ServerMessage(json: #"{"type":"session","resumed":true,"open_audio":{"id":"u1","chunks":17}}"#)
        #expect(message.openAudio?.id == "u1" && message.openAudio?.chunks == 17)
    }

    @Test(
        arguments: [
            (1000, false), (1001, true), (1002, false), (1003, false), (ClientClosing.noCode, true), (ClientClosing.abnormal, true),
            (1007, false),
            (1008, false), (1009, false), (1011, true), (1012, true), (1013, true), (4001, true), (4002, true), (4003, true), (4500, false),
            (4501, false), (4502, false), (4503, false), (4504, false), (4505, false), (4506, false), (4507, false),
        ] as [(UInt16, Bool)])
    func `the close code determines whether a session is resumed`(code: UInt16, permits: Bool) {
        #expect(ClientClosing(code: code).permitsResume == permits)
    }

    @Test(
        arguments: [
            (0, "0.0 ms"), (49_999, "0.0 ms"), (50_000, "0.1 ms"), (1_234_567, "1.2 ms"), (999_900_000, "999.9 ms"),
            (999_990_000, "1.00 s"),
            (61_239_000_000, "61.24 s"), (-5, "0.0 ms"),
        ] as [(Int64, String)])
    func `latencies are formatted with one decimal in milliseconds, and two in seconds`(nanoseconds: Int64, text: String) {
        #expect(ClientText.milliseconds(nanoseconds) == text)
    }

    @Test func `no control character of a response reaches the terminal`() {
        #expect(ClientText.response("a\u{1B}[31m\tb\r\nc\u{9B}d\u{7F}") == "a[31m\tb\nc" + "d")
        #expect(ClientText.line(json: "{\"a\":\n1,\r\n\"b\":2}") == "{\"a\": 1,  \"b\":2}")
    }

    @Test func `a report has one line per value`() throws {
        let message = try ServerMessage(
            json: #"""
                {"type":"status","id":"s1","session":{"errors":0,"rtt_ms":null},"limits":{"limits.text_per_minute":60},
                 "upstream":{"state":"ready"}}
                """#)
        #expect(message.report == ["limits.text_per_minute: 60", "session.errors: 0", "session.rtt_ms: -", "upstream.state: ready"])
    }

    @Test(
        arguments: [
            (ClientClosing(code: 1000), false, false, .completed), (ClientClosing(code: 1000), false, true, .lost),
            (ClientClosing(code: 1000), true, false, .failed), (ClientClosing(code: 4505), true, true, .failed),
            (ClientClosing(code: 4505), false, false, .lost), (ClientClosing(code: ClientClosing.noCode), false, false, .lost),
            (ClientClosing.lost("reset"), false, false, .lost),
        ] as [(ClientClosing, Bool, Bool, TalkStatus)])
    func `the close code, errors and pending requests set the exit code`(
        closing: ClientClosing, hasFailed: Bool, isAwaiting: Bool, status: TalkStatus
    ) {
        #expect(TalkStatus(closing: closing, hasFailed: hasFailed, isAwaiting: isAwaiting) == status)
    }

    @Test func `each connection error has its exit code`() {
        let head = HTTPResponseHead(version: .http1_1, status: .serviceUnavailable)
        #expect(TalkStatus(.cannotConnect("x")).rawValue == 3)
        #expect(TalkStatus(.tls("x")).rawValue == 3)
        #expect(TalkStatus(.lost("x")).rawValue == 3)
        #expect(TalkStatus(.handshake(.acceptKey)).rawValue == 3)
        #expect(TalkStatus(.rejected(UpgradeRejection(head, body: []))).rawValue == 4)
        #expect(TalkStatus(.timedOut).rawValue == 6)
        #expect(TalkStatus(.closed(.lost("x"))).rawValue == 7)
        #expect(TalkStatus.allCases.map(\.rawValue) == [0, 2, 3, 4, 5, 6, 7, 130])
    }

    @Test func `the text of a rejection has the problem's code and detail; with any other body it has only the status`() {
        let head = HTTPResponseHead(version: .http1_1, status: .serviceUnavailable, headers: ["Retry-After": "5"])
        let body = #"{"title":"Service Unavailable","detail":"No room.","code":"session_limit","correlation_id":"01K"}"#
        #expect(
            UpgradeRejection(head, body: Array(body.utf8)).description
                == "rejected with 503 Service Unavailable, session_limit: No room. (retry after 5 s, correlation id 01K)")
        #expect(
            UpgradeRejection(head, body: Array("<html>".utf8)).description == "rejected with 503 Service Unavailable (retry after 5 s)")
    }
}
