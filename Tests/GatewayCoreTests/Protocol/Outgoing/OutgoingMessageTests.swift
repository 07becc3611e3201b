// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

/// The exact bytes of each message. Clients must not rely on the order of members, but the order shouldn't change accidentally.
@Suite struct OutgoingMessageTests {
    private let id: MessageID
    private static let format = AudioFormat(codec: .pcm16, rate: 24_000, channels: 1)
    private static let ulid = ULID(high: 0, low: 1)

    init() throws { id = try #require(MessageID("m-1")) }

    private func json(_ message: some OutgoingMessage, sequence: UInt64? = nil) -> String {
        var bytes: [UInt8] = []
        bytes.append(message, sequence: sequence)
        return String(decoding: bytes, as: UTF8.self)
    }

    private func done(_ change: (inout UpstreamEvent.Epilogue) -> Void = { _ in }) -> RequestEnd {
        var epilogue = UpstreamEvent.Epilogue()
        change(&epilogue)
        return .done(epilogue)
    }

    @Test func `an ack contains the message's id, and chunks for audio`() {
        #expect(json(AckMessage(id)) == #"{"type":"ack","id":"m-1"}"#)
        #expect(json(AckMessage(id, chunks: 64)) == #"{"type":"ack","id":"m-1","chunks":64}"#)
        #expect(json(AckMessage(id, isDuplicate: true)) == #"{"type":"ack","id":"m-1","duplicate":true}"#)
        #expect(json(AckMessage(id, isDuplicate: true, chunks: 0)) == #"{"type":"ack","id":"m-1","duplicate":true,"chunks":0}"#)
    }

    @Test func `a pong echoes the ping's id and ts verbatim`() {
        func pong(_ id: MessageID?, _ timestamp: NumberSlice?) -> String {
            var bytes: [UInt8] = []
            let ping = Array(#"{"type":"ping","ts":1.50e3}"#.utf8)
            ping.withRawSpan { PongMessage(id, timestamp: timestamp, serverTime: 1_700_000_000_123).append(to: &bytes, replyingTo: $0) }
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(pong(nil, nil) == #"{"type":"pong","server_ts":1700000000123}"#)
        #expect(pong(id, nil) == #"{"type":"pong","id":"m-1","server_ts":1700000000123}"#)
        #expect(pong(id, NumberSlice(start: 20, count: 6)) == #"{"type":"pong","id":"m-1","ts":1.50e3,"server_ts":1700000000123}"#)
    }

    @Test func `a goaway contains reason and deadline`() {
        #expect(
            json(GoAwayMessage(reason: "session_expires", deadlineMilliseconds: 2500))
                == #"{"type":"goaway","reason":"session_expires","deadline_ms":2500}"#)
    }

    @Test func `a text message is a delta, the final text, or the last message of its request`() {
        let text = Array("say \"hi\"".utf8)
        #expect(
            json(TextMessage(id, text, isFinal: false, end: .open), sequence: 7)
                == #"{"type":"text","seq":7,"reply_to":"m-1","text":"say \"hi\"","final":false}"#)
        #expect(
            json(TextMessage(id, text, isFinal: true, end: .done(nil)), sequence: 7)
                == #"{"type":"text","seq":7,"reply_to":"m-1","text":"say \"hi\"","final":true,"done":true}"#)
        #expect(
            json(TextMessage(id, [], isFinal: true, end: done()), sequence: 7)
                == #"{"type":"text","seq":7,"reply_to":"m-1","text":"","final":true,"done":true,"finish":"stop"}"#)
    }

    @Test func `the last message of a request contains finish, usage, timing and speech`() {
        let end = done { epilogue in
            epilogue.finish = .length
            epilogue.usage = Usage(inputTokens: 12, outputTokens: 345)
            var timing = CallTiming()
            (timing.queue, timing.connect) = (.nanoseconds(-5), .nanoseconds(1_000_000))
            (timing.first, timing.total) = (.nanoseconds(12_345_678), .nanoseconds(98_760_000))
            epilogue.timing = timing
            epilogue.speech = .partial
        }
        #expect(
            json(TextMessage(id, [0x61], isFinal: true, end: end), sequence: 1)
                == #"{"type":"text","seq":1,"reply_to":"m-1","text":"a","final":true,"done":true,"finish":"length","#
                + #""usage":{"input_tokens":12,"output_tokens":345},"#
                + #""timing":{"queue_ms":0,"connect_ms":1,"first_ms":12.345,"total_ms":98.76},"speech":"partial"}"#)
    }

    @Test func `a transcript contains confidence and times if known`() {
        let text = Array("ja".utf8)
        #expect(
            json(TranscriptMessage(id, text, isFinal: false, end: .open), sequence: 2)
                == #"{"type":"transcript","seq":2,"reply_to":"m-1","text":"ja","final":false}"#)
        let complete = TranscriptMessage(
            id, text, isFinal: true, confidence: 0.75, startMilliseconds: 0, endMilliseconds: 1200, end: .done(nil))
        #expect(
            json(complete, sequence: 3)
                == #"{"type":"transcript","seq":3,"reply_to":"m-1","text":"ja","final":true,"confidence":0.75,"start_ms":0,"end_ms":1200,"#
                + #""done":true}"#)
        #expect(
            json(TranscriptMessage(id, text, isFinal: true, confidence: .nan, end: .open), sequence: 4)
                == #"{"type":"transcript","seq":4,"reply_to":"m-1","text":"ja","final":true}"#)
    }

    @Test func `audio messages with the format mark the start and the end of audio`() {
        #expect(
            json(AudioMessage(id, Self.format, isFinal: false, end: .open), sequence: 5)
                == #"{"type":"audio","seq":5,"reply_to":"m-1","format":{"codec":"pcm16","rate":24000,"channels":1}}"#)
        #expect(
            json(AudioMessage(id, Self.format, isFinal: true, end: .done(nil)), sequence: 9)
                == #"{"type":"audio","seq":9,"reply_to":"m-1","format":{"codec":"pcm16","rate":24000,"channels":1},"final":true,"done":true}"#
        )
    }

    @Test func `a status contains progress clamped to 0…1, and bytes of reasoning`() {
        #expect(
            json(StatusMessage(id, "cancelled", end: .done(nil)), sequence: 6)
                == #"{"type":"status","seq":6,"reply_to":"m-1","state":"cancelled","done":true}"#)
        #expect(
            json(StatusMessage(id, "a \\ b", progress: 1.5, reasoningBytes: 77, end: .open), sequence: 6)
                == #"{"type":"status","seq":6,"reply_to":"m-1","state":"a \\ b","progress":1,"bytes":77}"#)
        #expect(
            json(StatusMessage(id, "s", progress: .infinity, end: .open), sequence: 6)
                == #"{"type":"status","seq":6,"reply_to":"m-1","state":"s"}"#)
        #expect(json(StatusMessage(id, "s", progress: 0.25, end: .open), sequence: 6).hasSuffix(#""state":"s","progress":0.25}"#))
    }

    @Test func `an error that ends a request is sequenced and done`() {
        var error = GatewayError(.responseTimeout, source: .upstream, message: "too late", replyTo: id, correlationID: Self.ulid)
        error.retryAfter = 100
        let object =
            #""reply_to":"m-1","error":{"code":"upstream_timeout","message":"too late","param":null,"reply_to":"m-1","#
            + #""correlation_id":"00000000000000000000000001","retryable":true,"retry_after_ms":100,"fatal":false}"#
        #expect(json(ErrorMessage(error, showsDetails: false)) == #"{"type":"error","# + object + "}")
        let end = done { $0.finish = .error }
        #expect(
            json(ErrorMessage(error, showsDetails: false, end: end), sequence: 8)
                == #"{"type":"error","seq":8,"# + object + #","done":true,"finish":"error"}"#)
    }

    @Test func `a session message contains id, token, resume result, limits and open audio`() {
        var message = SessionMessage(
            Self.ulid, resumeToken: Array("t_o-k".utf8), isResumed: false, isLost: false, resumeError: nil, lastSequence: 0, expiresAt: nil,
            heartbeatMilliseconds: 30_000, limits: [], openAudio: nil)
        #expect(
            json(message)
                == #"{"type":"session","session_id":"00000000000000000000000001","resume_token":"t_o-k","resumed":false,"lost":false,"#
                + #""last_seq":0,"expires_at":null,"heartbeat_ms":30000,"limits":{},"protocol":"parley.v1"}"#)
        (message.isResumed, message.isLost, message.resumeError, message.lastSequence) = (true, true, .badLastSequence, .max)
        message.expiresAt = 1_700_000_000_000
        message.limits = [.init("messages.max_text_bytes", 16_384), .init("limits.audio_realtime_factor", 1.25)]
        message.openAudio = .init(id, chunks: 3)
        #expect(
            json(message)
                == #"{"type":"session","session_id":"00000000000000000000000001","resume_token":"t_o-k","resumed":true,"lost":true,"#
                + #""resume_error":"bad_last_seq","last_seq":18446744073709551615,"expires_at":1700000000000,"heartbeat_ms":30000,"#
                + #""limits":{"messages.max_text_bytes":16384,"limits.audio_realtime_factor":1.25},"#
                + #""open_audio":{"id":"m-1","chunks":3},"protocol":"parley.v1"}"#)
    }

    @Test func `a session status contains counts, memory usage and remaining limits`() {
        var counts = SessionCounts()
        (counts.messagesIn, counts.messagesOut, counts.errors, counts.audioNanoseconds) = (1, 2, 3, 1_234_567_890)
        var memory = MemoryUsage()
        memory.connection.receiveBuffer = 1
        (memory.connection.assembler, memory.connection.deflate, memory.connection.socketQueue) = (2, 3, 4)
        (memory.outbox, memory.history, memory.duplicateIDs, memory.upstreamQueue) = (5, 6, 7, 8)
        (memory.upstreamAnswers, memory.requests) = (9, 10)
        var message = SessionStatusMessage(
            nil, session: Self.ulid, counts: counts, roundTripNanoseconds: nil, connectedAt: 5, expiresAt: nil, memory: memory,
            memoryBudget: 0, limits: [], upstream: .degraded)
        let parts =
            #""base":1024,"receive_buffer":1,"assembler":2,"deflate":3,"socket_queue":4,"outbox":5,"history":6,"duplicate_ids":7,"#
            + #""upstream_queue":8,"upstream_answers":9,"requests":10,"grant":0}"#
        #expect(
            json(message)
                == #"{"type":"status","session":{"session_id":"00000000000000000000000001","messages_in":1,"messages_out":2,"errors":3,"#
                + #""audio_seconds":1.234,"rtt_ms":null,"connected_at":5,"expires_at":null},"memory":{"total":1079,"budget":0,"# + parts
                + #","limits":{},"upstream":{"state":"degraded"}}"#)
        message.id = id
        (message.roundTripNanoseconds, message.expiresAt, message.memoryBudget) = (1_500_999, 6, 4096)
        message.limits = [("limits.text_per_minute", 60), ("limits.audio_realtime_factor", 0.5)]
        #expect(
            json(message)
                == #"{"type":"status","id":"m-1","session":{"session_id":"00000000000000000000000001","messages_in":1,"messages_out":2,"#
                + #""errors":3,"audio_seconds":1.234,"rtt_ms":1.5,"connected_at":5,"expires_at":6},"#
                + #""memory":{"total":1079,"budget":4096,"# + parts
                + #","limits":{"limits.text_per_minute":60,"limits.audio_realtime_factor":0.5},"upstream":{"state":"degraded"}}"#)
    }

    @Test func `a message longer than estimated is written completely after the existing bytes`() {
        let text = [UInt8](repeating: 0x01, count: 5000)
        var bytes = Array("before".utf8)
        bytes.append(TextMessage(id, text, isFinal: true, end: .open), sequence: 1)
        let written = String(repeating: #"\u0001"#, count: 5000)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"before{"type":"text","seq":1,"reply_to":"m-1","text":""# + written + #"","final":true}"#)
    }
}
