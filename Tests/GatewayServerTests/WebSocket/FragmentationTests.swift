// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import Testing

@Suite struct FragmentationTests {
    private static let good = FrameBytes.text("good")

    @Test func `a continuation without an open message is rejected`() {
        #expect(Transcript.entries(FrameBytes.continuation([1], fin: true)) == [.error(.unexpectedContinuation)])
        #expect(Transcript.entries(FrameBytes.continuation([1], fin: false)) == [.error(.unexpectedContinuation)])
        #expect(
            Transcript.entries(Self.good + FrameBytes.continuation([1], fin: true)) == [.text("good"), .error(.unexpectedContinuation)])
    }

    @Test(arguments: [0x81, 0x82, 0x01, 0x02] as [UInt8])
    func `a new message inside an open one is rejected`(first: UInt8) {
        let bytes = FrameBytes.text("a", fin: false) + FrameBytes.frame(first, [0x62])
        #expect(Transcript.entries(bytes) == [.error(.expectedContinuation)])
        #expect(Transcript.entries(bytes.pieces(of: 1)) == [.error(.expectedContinuation)])
    }

    @Test func `control frames between fragments are returned, even if split`() {
        let bytes =
            FrameBytes.text("a", fin: false) + FrameBytes.ping(.noise(125, seed: 1)) + FrameBytes.continuation([0x62], fin: false)
            + FrameBytes.pong([]) + FrameBytes.ping([3]) + FrameBytes.continuation([0x63], fin: true) + Self.good
        let expected: [Transcript.Entry] = [.ping(.noise(125, seed: 1)), .pong([]), .ping([3]), .text("abc"), .text("good")]
        #expect(Transcript.entries(bytes) == expected)
        for size in 1...150 { #expect(Transcript.entries(bytes.pieces(of: size)) == expected) }
    }

    @Test func `a close frame between fragments ends the stream`() {
        let bytes = FrameBytes.text("a", fin: false) + FrameBytes.close(1000, [0x78]) + FrameBytes.continuation([0x62], fin: true)
        #expect(Transcript.entries(bytes) == [.close(1000, [0x78])])
        #expect(Transcript.entries(bytes.pieces(of: 1)) == [.close(1000, [0x78])])
    }

    @Test(arguments: [1, 2, 5])
    func `all fragments are counted, including the first and empty ones`(maximum: Int) {
        let atLimit = FrameBytes.continuationChain((0..<maximum).map { _ in "" })
        #expect(Transcript.entries(atLimit + Self.good, maxFragments: maximum) == [.text(""), .text("good")])
        let over = FrameBytes.text("", fin: false) + (1..<maximum).flatMap { _ in FrameBytes.continuation([], fin: false) }
        #expect(Transcript.entries(over, maxFragments: maximum) == [])
        #expect(Transcript.entries(over + FrameBytes.head(0x80, count: 0), maxFragments: maximum) == [.error(.tooManyFragments)])
    }

    @Test func `control frames don't count as fragments`() {
        let bytes =
            FrameBytes.text("a", fin: false) + (0..<10).flatMap { _ in FrameBytes.ping() } + FrameBytes.continuation([0x62], fin: true)
        #expect(Transcript.entries(bytes, maxFragments: 2).last == .text("ab"))
    }

    @Test func `without a limit a message may have any number of fragments`() {
        let bytes = FrameBytes.continuationChain((0..<20_000).map { _ in "x" })
        #expect(Transcript.entries(bytes, maxFragments: 0) == [.text(String(repeating: "x", count: 20_000))])
    }
}

@Suite struct MessageLimitTests {
    private static let good = FrameBytes.text("good")

    @Test(arguments: [1, 125, 126, 1000, 70_000])
    func `a frame over the limit is rejected at its header, before any payload`(limit: Int) {
        for under in [limit - 1, limit] {
            let bytes = FrameBytes.binary(.noise(under, seed: 1)) + FrameBytes.binary([])
            #expect(Transcript.entries(bytes, maxMessageBytes: limit) == [.binary(.noise(under, seed: 1)), .binary([])])
        }
        #expect(Transcript.entries(FrameBytes.head(0x82, count: UInt64(limit) + 1), maxMessageBytes: limit) == [.error(.messageTooBig)])
        #expect(Transcript.entries(FrameBytes.head(0x82, count: UInt64(Int.max)), maxMessageBytes: limit) == [.error(.messageTooBig)])
    }

    @Test func `fragments are rejected at the header with which their sum exceeds the limit`() {
        let start = FrameBytes.binary(.noise(600, seed: 1), fin: false)
        let atLimit = start + FrameBytes.continuation(.noise(400, seed: 2), fin: true) + Self.good
        #expect(
            Transcript.entries(atLimit, maxMessageBytes: 1000) == [.binary(.noise(600, seed: 1) + .noise(400, seed: 2)), .text("good")])
        #expect(Transcript.entries(start + FrameBytes.head(0x80, count: 401), maxMessageBytes: 1000) == [.error(.messageTooBig)])
        #expect(
            Transcript.entries(start + FrameBytes.head(0x80, count: UInt64(Int.max)), maxMessageBytes: 1000) == [.error(.messageTooBig)])
    }

    @Test func `control frames don't count toward the message size`() {
        let bytes = FrameBytes.binary([1], fin: false) + FrameBytes.ping(.noise(125, seed: 1)) + FrameBytes.continuation([2], fin: true)
        #expect(Transcript.entries(bytes, maxMessageBytes: 2) == [.ping(.noise(125, seed: 1)), .binary([1, 2])])
    }

    @Test func `a limit of zero means the ceiling`() {
        let limits = WebSocketLimits(maxMessageBytes: 0, maxFragments: 0)
        #expect(limits.maxMessageBytes == WebSocketLimits.ceiling)
        #expect(limits.maxFragments == .max)
        #expect(WebSocketLimits(maxMessageBytes: .max, maxFragments: 1).maxMessageBytes == WebSocketLimits.ceiling)
        let tooBig = FrameBytes.head(0x82, count: UInt64(WebSocketLimits.ceiling) + 1)
        #expect(Transcript.entries(tooBig, maxMessageBytes: 0) == [.error(.messageTooBig)])
    }
}
