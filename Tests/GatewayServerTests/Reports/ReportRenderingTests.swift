// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import Testing

@testable import GatewayServer

@Suite struct ReportRenderingTests {
    private static let hostile = [
        "<script>alert(1)</script>", "\"\u{301} onmouseover=alert(2) x='", "</bdi></li><img src=x onerror=alert(3)>", "{{title}} {{{id}}}",
        "\u{202E}gnp.exe", "=cmd|' /C calc'!A0", "&amp;",
    ]

    private func details(_ texts: [String], title: String? = nil, tags: [String] = []) -> SessionDetails {
        var report = SessionReport(id: ULID(high: 1, low: 2), startedAt: 1_700_000_000_000, lastMessageAt: 1_700_000_009_000)
        report.endedAt = 1_700_000_010_000
        report.ending = .bye
        report.events = [
            .init(at: 1_700_000_000_000, what: .connected, id: ULID(high: 3, low: 4)),
            .init(at: 1_700_000_004_500, what: .failed(.rateLimited), id: ULID(high: 5, low: 6)),
            .init(at: 1_700_000_005_000, what: .detached(1006), id: ULID(high: 3, low: 4)),
            .init(at: 1_700_000_006_000, what: .resumed(isLost: true), id: ULID(high: 7, low: 8)),
        ]
        for (index, text) in texts.enumerated() {
            let at = 1_700_000_001_000 + Int64(index) * 1000
            report.lines.append(.init(tag: .init(.client, at: at), text: Array(text.utf8), textBytes: text.utf8.count))
            let latency = History.Latency(first: 12_000, last: 1_500_000)
            report.lines.append(.init(tag: .init(.upstream, at: at, latency: latency), text: Array(text.utf8), textBytes: text.utf8.count))
        }
        report.lines.append(
            .init(
                tag: .init(.client, .audio, at: 1_700_000_009_000, audio: .init(bytes: 640, nanoseconds: 20_000_000)), text: [],
                textBytes: 0))
        report.lines.sort { $0.tag.at < $1.tag.at }
        return SessionDetails(report, SessionAnnotation(title: title, tags: tags, notes: title), depth: .full)
    }

    private func page(_ details: SessionDetails) -> String { String(decoding: ReportPage.render(details, now: 0), as: UTF8.self) }

    @Test func `a client can't inject elements or attributes into a page`() throws {
        let hostile = page(details(Self.hostile, title: Self.hostile.joined(), tags: Self.hostile))
        let harmless = page(details(Self.hostile.map { _ in "x" }, title: "x", tags: Self.hostile.map { _ in "x" }))
        // Scalars, as a browser parses them: a quote with a combining accent is a quote.
        for character in "<>\"'".unicodeScalars {
            let (found, expected) = (hostile.unicodeScalars.count { $0 == character }, harmless.unicodeScalars.count { $0 == character })
            #expect(found == expected, "\(character): \(found) instead of \(expected)")
        }
        #expect(hostile.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && hostile.contains("{{title}} {{{id}}}"))
        #expect(hostile.contains("<bdi dir=\"auto\">\u{202E}gnp.exe</bdi>") && hostile.contains("&amp;amp;"))
    }

    @Test func `a page is self-contained`() {
        let page = page(details(["hello"]))
        for forbidden in ["<script", "<link", "<img", "src=", "href=", "url(", "@import", "http:", "https:", "{{"] {
            #expect(!page.contains(forbidden), "\(forbidden)")
        }
        #expect(ReportPage.policy.hasPrefix("default-src 'none'"))
    }

    @Test func `a page shows the contents of the report`() {
        let page = page(details(["hello"], title: "A call"))
        for part in [
            "<title>A call</title>", "ended: bye", "2023-11-14 22:13:20", ">10.0 s<", "after 12 ms, done after 1.5 s", "rate_limited",
            "close code 1006", "messages were lost", "audio · 20 ms, 640 B", "<td>12 ms</td>", "<td>1.5 s</td>", "client · +0:01.0",
        ] {
            #expect(page.contains(part), "\(part)")
        }
    }

    @Test func `rejected and failed requests are in the transcript in chronological order`() throws {
        let page = page(details(["a", "b", "c", "d", "e"]))
        let list = try #require(page.components(separatedBy: "<ol>").last?.components(separatedBy: "</ol>").first)
        let entries = list.components(separatedBy: "<li class=").dropFirst().map { $0.prefix { $0 != " " } }
        // A rejection 4.5 s after the start, between texts and responses at 1, 2, 3, 4 and 5 s, and a recording at 9 s.
        let pair = ["\"client\"><span", "\"upstream\"><span"].map { $0[...] }
        #expect(entries == pair + pair + pair + pair + ["\"error\"><span"] + pair + ["\"client\"><span"])
        #expect(list.contains(">error · +0:04.5 · ") && list.contains(">rate_limited</bdi>"))
    }

    @Test func `a report without a transcript lists errors only as events`() {
        var metadata = details(["hello"])
        metadata.transcript = nil
        #expect(page(metadata).contains("No messages.") && page(metadata).contains("rate_limited"))
    }

    @Test(
        arguments: [
            (0, "0 s"), (-5, "0 s"), (.nan, "0 s"), (0.04, "0.0 ms"), (0.44, "0.4 ms"), (9.94, "9.9 ms"), (9.95, "10 ms"),
            (999.4, "999 ms"),
            (999.5, "1.0 s"), (1449, "1.4 s"), (59_949, "59.9 s"), (59_950, "1 min 0 s"), (3_599_400, "59 min 59 s"),
            (3_599_500, "1 h 0 min"), (90_061_000, "25 h 1 min"),
        ] as [(Double, String)])
    func `durations are rounded to a fixed format`(milliseconds: Double, text: String) {
        #expect(Readable.duration(milliseconds) == text)
    }

    @Test(
        arguments: [
            (0, 0, "+0:00.0"), (4, 5, "+0:00.0"), (49, 0, "+0:00.0"), (50, 0, "+0:00.1"), (1500, 0, "+0:01.5"), (59_949, 0, "+0:59.9"),
            (59_950, 0, "+1:00.0"), (3_599_949, 0, "+59:59.9"), (3_599_950, 0, "+1:00:00.0"), (90_061_000, 0, "+25:01:01.0"),
            (.max, .min, "+0:00.0"), (.max, 0, "+2562047788015:12:55.8"),
        ] as [(Int64, Int64, String)])
    func `times are relative to the start of the session, in a fixed format`(at: Int64, start: Int64, text: String) {
        #expect(Readable.moment(at, since: start) == text)
    }

    @Test func `the timeline is drawn to scale`() {
        let drawing = TimelineDrawing(details(["a", "b"]), now: 0)
        #expect(drawing.connected == "M0 50H500M600 50H1000" && drawing.errors == "M450 35v30")
        #expect(drawing.client == "M100 8v24M200 8v24M900 8v24" && drawing.upstream == "M100 68v24M200 68v24")
        // 12 ms and 1.5 s, over 0.1 ms to 100 s.
        #expect(drawing.firsts == "M100 66h0M200 66h0" && drawing.lasts == "M100 31h0M200 31h0" && drawing.stems == "M100 66V31M200 66V31")
        #expect(drawing.scale.map(\.y) == [84, 67, 50, 34, 17])
    }

    @Test func `a session of zero duration is drawn`() {
        var report = SessionReport(id: ULID(high: 1, low: 2), startedAt: 5, lastMessageAt: 5)
        report.endedAt = 5
        report.lines = [.init(tag: .init(.upstream, at: 5, latency: .init(first: 0, last: .max)), text: nil, textBytes: 3)]
        let drawing = TimelineDrawing(SessionDetails(report, nil, depth: .metadata), now: 0)
        #expect(drawing.stems == "M0 100V0" && drawing.end == 6)
    }

    @Test func `no cell of a table can be a formula, and rows are in chronological order`() {
        let csv = String(
            decoding: ReportTable.render(details(Self.hostile + ["\tx", " =1+1", "\u{200B}=2", "＝3", "a\r\nb,\"c\""])), as: UTF8.self)
        let rows = csv.split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(rows.first == "at,by,kind,text,text_bytes,audio_bytes,audio_seconds,first_reply_ms,last_reply_ms" && rows.last == "")
        for cell in [
            "\"'=cmd|' /C calc'!A0\"", "\"'\tx\"", "\"' =1+1\"", "\"'\u{200B}=2\"", "\"'＝3\"", "\"a\r\nb,\"\"c\"\"\"",
            "\"\u{202E}gnp.exe\"",
        ] {
            #expect(csv.unicodeScalars.split(separator: ",").count > 0 && csv.contains(cell), "\(cell)")
        }
        let times = rows.dropFirst().compactMap { Int64($0.prefix { $0 != "," }) }
        #expect(times == times.sorted() && times.count > 20)
        #expect(csv.contains("gateway,disconnected,\"1006 ") && csv.contains("client,audio,,,640,0.02,,\r\n"))
    }

    @Test func `a report with any corrupted byte is an error or is rendered in all formats`() throws {
        var report = SessionReport(id: ULID(high: 1, low: 2), startedAt: 1_700_000_000_000, lastMessageAt: 1_700_000_009_000)
        report.endedAt = 1_700_000_010_000
        report.ending = .bye
        report.events = [.init(at: 1_700_000_004_500, what: .failed(.rateLimited), id: ULID(high: 5, low: 6))]
        report.lines = [
            .init(tag: .init(.client, .audio, at: 1_700_000_001_000, audio: .init(bytes: 9, nanoseconds: 9)), text: [], textBytes: 0),
            .init(tag: .init(.upstream, at: 1_700_000_002_000, latency: .init(first: 1, last: 2)), text: Array("hello".utf8), textBytes: 5),
        ]
        let (head, body) = (report.head(), report.body())
        var shown = 0
        for (index, bits) in (0..<head.count + body.count).flatMap({ index in [0x01, 0x80, 0xFF].map { (index, UInt8($0)) } }) {
            var (head, body) = (head, body)
            if index < head.count { head[index] ^= bits } else { body[index - head.count] ^= bits }
            guard let changed = try? SessionReport(head: head, body: body) else { continue }
            let details = SessionDetails(changed, nil, depth: .full)
            #expect(!ReportPage.render(details, now: 1_700_000_010_000).isEmpty && !ReportTable.render(details).isEmpty)
            _ = try JSONEncoder().encode(details)
            shown += 1
        }
        #expect(shown > 100)
    }

    @Test(arguments: [
        ("", "json"), ("*/*", "json"), ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"), ("text/csv", "csv"),
        ("application/json;q=0.5, text/csv;q=0.6", "csv"), ("TEXT/HTML ; charset=utf-8", "html"), ("text/html;q=0, text/csv;q=0.1", "csv"),
        ("text/*", "html"), ("image/png", "none"), ("text/html;q=0", "none"), ("text/html;q=x", "none"),
    ])
    func `the preferred format of Accept is selected`(accept: String, expected: String) {
        #expect(ReportFormat(accept: accept)?.rawValue ?? "none" == expected)
    }
}
