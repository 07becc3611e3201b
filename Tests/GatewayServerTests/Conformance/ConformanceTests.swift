// SPDX-License-Identifier: Apache-2.0

import Support
import Testing

/// Conformance to RFC 6455 and RFC 7692 by section, each case on its own `/echo` connection: the echoed messages for valid bytes and the
/// close code for invalid ones, unsplit and split. Covers the same kinds of cases as the Autobahn Testsuite.
@Suite struct ConformanceTests {
    /// A named exchange.
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        var output: EchoOutput

        init(_ description: String, _ bytes: [UInt8], _ output: EchoOutput) {
            testDescription = description
            self.bytes = bytes
            self.output = output
        }
    }

    /// Sends `bytes` on one connection for each piece size and compares the output. After a close, checks that the loop serves the next
    /// client.
    func check(
        _ bytes: [UInt8], _ expected: EchoOutput, pieces sizes: [Int] = [.max, 1], on harness: LoopHarness = .echoing(),
        offer: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for size in sizes {
            let client = try EchoClient(harness, offer: offer)
            try client.send(bytes, pieces: size)
            let output = try client.replies()
            #expect(output == expected, "in pieces of \(min(size, bytes.count))", sourceLocation: sourceLocation)
        }
        guard expected.close != nil else { return }
        let next = try EchoClient(harness, offer: offer)
        try next.send(FrameBytes.text("next"))
        #expect(try next.replies() == .echo(.text("next")), sourceLocation: sourceLocation)
    }

    func check(_ example: Case, pieces sizes: [Int] = [.max, 1], sourceLocation: SourceLocation = #_sourceLocation) throws {
        try check(example.bytes, example.output, pieces: sizes, sourceLocation: sourceLocation)
    }

    /// Returns characters of one to four bytes, `count` bytes in total.
    static func text(_ count: Int) -> [UInt8] {
        let phrase = Array("Grüße, 世界 😀! ".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(count)
        while count - text.count >= phrase.count { text += phrase }
        return text + [UInt8](repeating: 0x2E, count: count - text.count)
    }
}

extension FrameBytes {
    /// Returns a frame with a zero masking key, which RFC 6455 §5.3 allows and which is fast for long payloads.
    static func zeroMasked(_ first: UInt8, _ payload: some Collection<UInt8>) -> [UInt8] {
        head(first, count: UInt64(payload.count)).dropLast(4) + [0, 0, 0, 0] + payload
    }

    /// Returns a message in frames of `size` bytes.
    static func fragments(_ opcode: UInt8, _ payload: [UInt8], of size: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: max(payload.count, 1), by: size) {
            let end = min(start + size, payload.count)
            bytes += zeroMasked((end == payload.count ? 0x80 : 0) | (start == 0 ? opcode : 0), payload[start..<end])
        }
        return bytes
    }
}
