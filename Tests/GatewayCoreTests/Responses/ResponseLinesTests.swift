// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite("Response lines of a process") struct ResponseLinesTests {
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
    func `lines and announced audio are separated, regardless of chunk sizes`(size: Int) throws {
        let bytes = Array("one\n\n  \n+6\n".utf8) + [10, 13, 0, 255, 10, 10] + Array("two\n+1\n\n+0\nend\ncut".utf8)
        #expect(try read(bytes, cutEvery: size) == ["one", "+6", "<6>", "two", "+1", "<1>", "+0", "end"])
    }

    @Test func `a line at the limit is parsed; a longer line is rejected`() throws {
        let line = String(repeating: "a", count: 100)
        #expect(try read(Array("\(line)\n".utf8), cutEvery: 9) == [line])
        #expect(throws: ResponseFault.self) { try read(Array("\(line)a".utf8), cutEvery: 9) }
    }
}
