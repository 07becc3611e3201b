// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayServer

@Suite struct TopScreenTests {
    private static let hostile = "\u{1B}]0;owned\u{07}\u{9B}2J\u{202E}\r\n漢字" + String(repeating: "x", count: 300)

    private func screen(_ hostile: String = hostile) -> TopScreen {
        var screen = TopScreen()
        var overview = Overview(at: 61_000, node: hostile, version: hostile, commit: "c", environment: hostile, startedAt: 1000)
        overview.connections = ResourceFigure(current: 12, peak: 30, limit: 1000)
        overview.latency["first_text"] = .init(count: 3, p50: 12, p90: 90, p99: 400)
        var upstream = UpstreamStatistics(
            name: hostile, kind: "http", state: "degraded", active: 1, waiting: 2,
            endpoints: [.init(address: hostile, breaker: "open", healthy: false, outstanding: 0, requests: 1, failures: 1)])
        upstream.permits = ResourceFigure(current: 1, peak: 2)
        overview.upstreams = [upstream]
        screen.overview = overview
        screen.notice = hostile
        return screen
    }

    @Test(arguments: [20, 80, 400]) func `no text of others reaches the terminal as a control character, and no line is too wide`(
        columns: Int
    ) {
        for line in screen().lines(columns: columns, rows: 40) {
            #expect(!line.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) || $0.value == 0x202E })
            #expect(DisplayWidth.of(line) <= columns)
        }
        #expect(!screen().text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
    }

    @Test func `figures show current, peak and limit, and the column of the order is marked`() {
        var screen = screen("gateway-1")
        let text = screen.text
        #expect(text.contains(#/connections +12 +30 +1000/#))
        #expect(text.contains(#/permits gateway-1 +1 +2 +none/#))
        #expect(text.contains("first_text 12 ms/90 ms/400 ms"))
        #expect(text.contains("degraded, 1 active, 2 waiting; gateway-1 unhealthy, open"))
        #expect(text.contains("MEMORY*"))
        screen.sort = .rtt
        #expect(screen.text.contains("RTT*") && !screen.text.contains("MEMORY*"))
        #expect(TopScreen().text.hasPrefix("waiting for the gateway"))
    }

    @Test func `a text that is cut ends with an ellipsis, and a wide character isn't halved`() {
        #expect(TopScreen.cut("abc", to: 3) == "abc")
        #expect(TopScreen.cut("abcd", to: 3) == "ab…")
        #expect(TopScreen.cut("漢字漢", to: 4) == "漢…")
        #expect(TopScreen.cut("abc", to: 0) == "")
    }

    @Test func `events are parsed across any split of the bytes, and an event over the limit fails`() throws {
        let text = ":\n\nevent: line\ndata: {\"a\":1}\n\ndata: b\ndata: c\n\nevent: x\n\n"
        let expected: [EventStreamParser.Event] = [
            .init(type: "line", data: Array(#"{"a":1}"#.utf8)), .init(type: "message", data: Array("b\nc".utf8)),
        ]
        for split in 0...text.utf8.count {
            var parser = EventStreamParser(limit: 100)
            let bytes = Array(text.utf8)
            #expect(try parser.receive(bytes[..<split]) + parser.receive(bytes[split...]) == expected)
        }
        var parser = EventStreamParser(limit: 8)
        #expect(try parser.receive(Array("data: ab\n\n".utf8)).count == 1)
        #expect(throws: EventStreamParser.TooLong.self) { try parser.receive(Array("data: abc".utf8)) }
    }
}
