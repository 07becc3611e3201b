import GatewayCore
import Testing

@Suite("A stream of server-sent events") struct ServerSentEventsTests {
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
    func `is parsed however it is split, with any line endings`(size: Int) throws {
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

@Suite("Lines of a process") struct ResponseLinesTests {
    private func read(_ bytes: [UInt8], cutEvery size: Int, limit: Int = 100) throws -> [String] {
        var lines = ResponseLines(limit: limit)
        var found: [String] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = Array(bytes[start..<min(bytes.count, start + size)])
            try piece.withRawSpanThrowing { (span) throws(ResponseFault) in
                try lines.receive(span) { (line) throws(ResponseFault) in
                    let text = String(decoding: line.withUnsafeBytes { Array($0) }, as: UTF8.self)
                    found.append(text)
                    return text.hasPrefix("+") ? Int(text.dropFirst()) ?? 0 : 0
                } onChunk: { (chunk) throws(ResponseFault) in
                    found.append("<\(chunk.count)>")
                }
            }
        }
        return found
    }

    @Test(arguments: [1, 2, 5, 1000])
    func `and announced audio are separated however they are split`(size: Int) throws {
        let bytes = Array("one\n\n  \n+6\n".utf8) + [10, 13, 0, 255, 10, 10] + Array("two\n+1\n\n+0\nend\ncut".utf8)
        #expect(try read(bytes, cutEvery: size) == ["one", "+6", "<6>", "two", "+1", "<1>", "+0", "end"])
    }

    @Test func `at the limit are parsed; longer ones are rejected`() throws {
        let line = String(repeating: "a", count: 100)
        #expect(try read(Array("\(line)\n".utf8), cutEvery: 9) == [line])
        #expect(throws: ResponseFault.self) { try read(Array("\(line)a".utf8), cutEvery: 9) }
    }
}
