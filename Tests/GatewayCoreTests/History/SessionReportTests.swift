// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionReportTests {
    /// A session with everything that a report can contain.
    private func eventfulSession() throws -> Conversation {
        let conversation = Conversation(SessionPolicy())
        conversation.note(.connected)
        let first = try started(conversation.send(#"{"type":"text","id":"a","text":"hello"}"#)).key
        conversation.advance(milliseconds: 20)
        _ = conversation.receive(first, .text(Array("hel".utf8), final: false))
        conversation.advance(milliseconds: 30)
        _ = conversation.receive(first, .text(Array("lo".utf8), final: true), isLast: true)
        _ = conversation.send("nonsense")
        let second = try started(
            conversation.send(#"{"type":"audio","id":"b","format":{"codec":"pcm16","rate":16000,"channels":1}}"#)
        ).key
        _ = conversation.send(binary: [UInt8](repeating: 0, count: 640))
        conversation.advance(milliseconds: 100)
        _ = conversation.send(#"{"type":"audio","id":"b","final":true}"#)
        conversation.advance(milliseconds: 7)
        _ = conversation.receive(
            second, .transcript(Array("word".utf8), final: true, confidence: nil, startMilliseconds: nil, endMilliseconds: nil))
        _ = conversation.receive(second, .audio(AudioFormat(codec: .pcm16, rate: 8000, channels: 1)))
        _ = conversation.receive(second, .audioChunk([UInt8](repeating: 1, count: 1600)))
        conversation.advance(milliseconds: 3)
        _ = conversation.receive(second, .audioEnd(AudioFormat(codec: .pcm16, rate: 8000, channels: 1)), isLast: true)
        return conversation
    }

    @Test func `a report has the texts, the amounts of audio and the latencies`() throws {
        let report = try eventfulSession().report(.full)
        let lines = report.lines.map { line in
            "\(line.tag.speaker) \(line.tag.kind) \(String(decoding: line.text ?? [], as: UTF8.self)) \(line.tag.audio.bytes)"
        }
        #expect(
            lines == [
                "client text hello 0", "upstream text hello 0", "client audio  640", "client transcript word 0", "upstream audio  1600",
            ])
        #expect(report.lines.map(\.tag.audio.nanoseconds) == [0, 0, 20_000_000, 0, 100_000_000])
        #expect(report.lines.map(\.tag.latency?.first) == [nil, 20_000, nil, nil, 7000])
        #expect(report.lines.map(\.tag.latency?.last) == [nil, 50_000, nil, nil, 10_000])
        #expect(report.firstLatencies?.p50 == 7000 && report.lastLatencies?.maximum == 50_000 && report.lastLatencies?.count == 2)
        #expect(report.counts.audioMilliseconds == 20 && report.counts.errors == 1 && report.counts.connections == 1)
        #expect(report.events.map(\.what) == [.connected, .failed(.invalidJSON)])
    }

    @Test func `two reports of an unchanged session have the same times`() throws {
        let conversation = try eventfulSession()
        let first = conversation.report(.head)
        // The two clocks drift.
        conversation.now = conversation.now.advanced(byNanoseconds: 5_000_999_999)
        conversation.wall += 4999
        let second = conversation.report(.head)
        #expect(first == second && first.lastMessageAt > first.startedAt)
    }

    @Test func `a report has the peak memory usage`() {
        let conversation = Conversation(SessionPolicy())
        var connection = MemoryUsage.Connection()
        for size in [10, 5000, 20] {
            connection.socketQueue = size
            conversation.session.memoryUsage.connection = connection
            _ = conversation.perform { session, _, effects in session.enforceBudget(effects: &effects) }
        }
        #expect(conversation.report(.head).memoryPeak == MemoryUsage.base + 5000)
    }

    @Test func `a metadata report has the lengths of texts, but not the texts`() throws {
        let report = try eventfulSession().report(.metadata)
        #expect(report.lines.allSatisfy { $0.text == nil } && report.lines.map(\.textBytes) == [5, 5, 0, 4, 0])
        #expect(try eventfulSession().report(.head).lines.isEmpty)
    }

    @Test(arguments: [ReportDepth.full, .metadata])
    func `a stored report is read back unchanged`(depth: ReportDepth) throws {
        var report = try eventfulSession().report(depth)
        for ending in [SessionEnding?.none] + SessionEnding.allCases {
            report.ending = ending
            report.endedAt = ending == nil ? nil : 5
            #expect(try SessionReport(head: report.head(), body: report.body()) == report)
        }
        let head = try SessionReport(head: report.head())
        #expect(head.lines.isEmpty && head.events.isEmpty && head.counts == report.counts)
    }

    @Test func `a report truncated anywhere is an error`() throws {
        let report = try eventfulSession().report(.full)
        let (head, body) = (report.head(), report.body())
        for count in head.indices { #expect(throws: RecordError.self) { try SessionReport(head: Array(head.prefix(count)), body: body) } }
        for count in body.indices { #expect(throws: RecordError.self) { try SessionReport(head: head, body: Array(body.prefix(count))) } }
    }

    @Test func `a response that broke off is reported without a latency`() throws {
        let conversation = Conversation(SessionPolicy())
        let cancelled = try started(conversation.send(#"{"type":"text","id":"a","text":"x"}"#)).key
        _ = conversation.receive(cancelled, .text(Array("half an ".utf8), final: false))
        _ = conversation.send(#"{"type":"cancel","id":"a"}"#)
        let failed = try started(conversation.send(#"{"type":"text","id":"b","text":"y"}"#)).key
        _ = conversation.receive(failed, .failure(.upstreamFailed, retryAfterMilliseconds: nil), isLast: true)
        let report = conversation.report(.full)
        #expect(report.lines.map { String(decoding: $0.text ?? [], as: UTF8.self) } == ["x", "half an ", "y"])
        #expect(report.firstLatencies == nil)
        #expect(report.events.map(\.what) == [.failed(.upstreamError)])
    }

    @Test func `cancelled audio is reported, too`() throws {
        let conversation = Conversation(SessionPolicy())
        _ = conversation.send(#"{"type":"audio","id":"b","format":{"codec":"mulaw","rate":8000,"channels":1}}"#)
        _ = conversation.send(binary: [UInt8](repeating: 0, count: 800))
        _ = conversation.send(#"{"type":"cancel","id":"b"}"#)
        let line = try #require(conversation.report(.full).lines.first)
        #expect(line.tag.kind == .audio && line.tag.audio == History.Audio(bytes: 800, nanoseconds: 100_000_000))
    }

    @Test func `percentiles are the nearest ranks`() {
        #expect(Percentiles([UInt32]()) == nil)
        let one = Percentiles([7])
        #expect(one?.p50 == 7 && one?.p99 == 7 && one?.maximum == 7 && one?.count == 1)
        let hundred = Percentiles((1...100).reversed().map { UInt32($0) })
        #expect(hundred?.p50 == 50 && hundred?.p90 == 90 && hundred?.p99 == 99 && hundred?.maximum == 100)
        let two = Percentiles([1, 2])
        #expect(two?.p50 == 1 && two?.p90 == 2)
    }
}
