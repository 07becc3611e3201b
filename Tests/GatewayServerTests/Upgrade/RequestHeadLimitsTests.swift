// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Testing

@Suite struct RequestHeadLimitsTests {
    /// Counts `head` in pieces of `size` bytes. Returns the verdict and the number of bytes after which it was final.
    private func verdict(
        _ head: [UInt8], bytes: Int = 16_384, fields: Int = 100, pieces size: Int = .max
    ) -> (verdict: RequestHeadLimits.Verdict, after: Int) {
        var limits = RequestHeadLimits(maximumBytes: bytes, maximumFields: fields)
        var start = 0
        while start < head.count {
            let end = size < head.count - start ? start + size : head.count
            let verdict = Array(head[start..<end]).withRawSpan { limits.count($0) }
            start = end
            if verdict != .incomplete { break }
        }
        return (limits.verdict, start)
    }

    private func head(fields: Int, lineEnd: String = "\r\n") -> [UInt8] {
        let lines = (0..<fields).map { "X-\($0): y" }
        return Array((["GET /v1/ws HTTP/1.1"] + lines + ["", ""]).joined(separator: lineEnd).utf8)
    }

    @Test(arguments: [("\r\n", 1), ("\n", 1), ("\r\n", 7), ("\n", 3), ("\r\n", Int.max)])
    func `a head with the maximum number of fields is complete; one more is too large`(lineEnd: String, size: Int) {
        #expect(verdict(head(fields: 5, lineEnd: lineEnd), fields: 5, pieces: size).verdict == .complete)
        #expect(verdict(head(fields: 6, lineEnd: lineEnd), fields: 5, pieces: size).verdict == .tooLarge)
        #expect(verdict(head(fields: 0, lineEnd: lineEnd), fields: 0, pieces: size).verdict == .complete)
    }

    @Test(arguments: [1, 5, Int.max])
    func `a head with the maximum number of bytes is complete; one more is too large`(size: Int) {
        let head = head(fields: 3)
        #expect(verdict(head, bytes: head.count, pieces: size).verdict == .complete)
        #expect(verdict(head, bytes: head.count - 1, pieces: size).verdict == .tooLarge)
    }

    @Test func `bytes after the head aren't counted`() {
        let head = head(fields: 3) + [UInt8](repeating: 0x81, count: 100_000)
        #expect(verdict(head, bytes: 200).verdict == .complete)
        var limits = RequestHeadLimits(maximumBytes: 200, maximumFields: 3)
        head.withRawSpan { #expect(limits.count($0) == .complete) }
        head.withRawSpan { #expect(limits.count($0) == .complete) }
    }

    @Test func `empty lines before the request line don't end the head`() {
        let head = Array("\r\n\r\n".utf8) + head(fields: 1)
        #expect(verdict(head, fields: 1, pieces: 1).verdict == .complete)
        #expect(verdict(Array("\r\n\r\n\r\n".utf8)).verdict == .incomplete)
        // Their bytes count toward the limit, though.
        #expect(verdict(Array(repeating: 0x0A, count: 101), bytes: 100).verdict == .tooLarge)
    }

    @Test func `a head with a hundred thousand lines is too large as soon as it exceeds the limit`() {
        let head = head(fields: 100_000)
        let outcome = verdict(head, bytes: .max, fields: 100, pieces: 64)
        #expect(outcome.verdict == .tooLarge)
        #expect(outcome.after < 2000)
    }

    @Test func `an endless line is too large as soon as it exceeds the limit`() {
        let outcome = verdict([UInt8](repeating: 0x61, count: 1_000_000), pieces: 100)
        #expect(outcome.verdict == .tooLarge)
        #expect(outcome.after <= 16_384 + 100)
    }

    @Test func `the verdict tooLarge is final`() {
        var limits = RequestHeadLimits(maximumBytes: 4, maximumFields: 1)
        [1, 2, 3, 4, 5].withRawSpan { #expect(limits.count($0) == .tooLarge) }
        Array("\r\n\r\n".utf8).withRawSpan { #expect(limits.count($0) == .tooLarge) }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `the verdict doesn't depend on how the head is split`(seed: UInt64) {
        var random = ULIDSource(seed: seed)
        let alphabet: [UInt8] = [0x0A, 0x0D, 0x61, 0x3A, 0x20]
        for _ in 0..<500 {
            let count = Int.random(in: 0...60, using: &random)
            let head = (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
            let bytes = Int.random(in: 1...60, using: &random)
            let fields = Int.random(in: 0...8, using: &random)
            let whole = verdict(head, bytes: bytes, fields: fields).verdict
            #expect(verdict(head, bytes: bytes, fields: fields, pieces: 1).verdict == whole)
            #expect(verdict(head, bytes: bytes, fields: fields, pieces: 7).verdict == whole)
        }
    }
}
