// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Server-sent events") struct ServerSentEventsTests {
    private func events(_ text: String, cutEvery size: Int = .max, limit: Int = 1000) throws -> [String] {
        var reader = ServerSentEvents(limit: limit)
        var found: [String] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: min(size, max(1, bytes.count))) {
            let piece = Array(bytes[start..<min(bytes.count, start + min(size, bytes.count))])
            try piece.withRawSpanThrowing { (span) throws(ResponseFault) in
                try reader.receive(span) { (data) throws(ResponseFault) in
                    found.append(String(decoding: data.withUnsafeBytes { Array($0) }, as: UTF8.self))
                }
            }
        }
        return found
    }

    private static let stream =
        "\u{FEFF}: a comment\r\nevent: x\ndata: one\r\n\r\ndata:two\rdata: and more\r\rid: 7\nretry: 5\ndata\n\ndatabase: no\n\ndata: Grüße\n\ndata: cut"

    @Test(arguments: [Int.max, 1, 2, 3, 7])
    func `events are parsed with any line endings, regardless of chunk sizes`(size: Int) throws {
        #expect(try events(Self.stream, cutEvery: size) == ["one", "two\nand more", "", "Grüße"])
    }

    @Test func `an event at the limit is parsed; a longer one is rejected`() throws {
        let data = String(repeating: "a", count: 100)
        #expect(try events("data: \(data)\n\n", limit: 100) == [data])
        #expect(throws: ResponseFault.self) { try events("data: " + String(repeating: "a", count: 200), cutEvery: 10, limit: 100) }
        #expect(throws: ResponseFault.self) {
            try events(String(repeating: "data: aaaaaaaaaa\n", count: 20), limit: 100)
        }
    }
}
