// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import NIOCore
import Support
import Testing

@Suite struct MessageReaderTests {
    /// A sequence of all kinds of frames.
    private static let conversation: [UInt8] =
        FrameBytes.text("Grüße, 世界 😀") + FrameBytes.text("") + FrameBytes.ping(Array("p".utf8))
        + FrameBytes.binary([1, 2, 3], fin: false) + FrameBytes.ping([]) + FrameBytes.continuation([], fin: false)
        + FrameBytes.pong([9, 9]) + FrameBytes.continuation([4, 5], fin: true)
        + FrameBytes.frame(0x01, [0xF0, 0x9F]) + FrameBytes.ping([7]) + FrameBytes.frame(0x80, [0x98, 0x80])
        + FrameBytes.binary(.noise(126, seed: 1)) + FrameBytes.binary(.noise(70_000, seed: 2)) + FrameBytes.binary([])
        + FrameBytes.continuationChain(["a", "", "b", "c"]) + FrameBytes.close(1000, Array("fertig".utf8))

    private static let expected: [Transcript.Entry] = [
        .text("Grüße, 世界 😀"), .text(""), .ping(Array("p".utf8)), .ping([]), .pong([9, 9]), .binary([1, 2, 3, 4, 5]), .ping([7]), .text("😀"),
        .binary(.noise(126, seed: 1)), .binary(.noise(70_000, seed: 2)), .binary([]), .text("abc"), .close(1000, Array("fertig".utf8)),
    ]

    @Test func `a sequence of frames in one read is parsed`() {
        #expect(Transcript.entries(Self.conversation) == Self.expected)
    }

    @Test(arguments: [1, 2, 3, 5, 13, 64, 4096])
    func `a sequence of frames split into pieces of a fixed size is parsed`(size: Int) {
        #expect(Transcript.entries(Self.conversation.pieces(of: size)) == Self.expected)
    }

    @Test(arguments: 0..<30)
    func `a sequence of frames split into random pieces is parsed`(seed: UInt64) {
        var generator = SplitMix64(state: seed)
        let maximum = [3, 20, 200, 20_000][Int(seed % 4)]
        #expect(Transcript.entries(Self.conversation.pieces(upTo: maximum, using: &generator)) == Self.expected)
    }

    @Test func `a client reads unmasked frames`() {
        let bytes = FrameBytes.frame(0x81, Array("Hello".utf8), masked: false) + FrameBytes.frame(0x82, [1], masked: false)
        #expect(Transcript.entries(bytes.pieces(of: 1), role: .client) == [.text("Hello"), .binary([1])])
    }

    @Test func `a complete frame is accessed in the read buffer without a copy`() throws {
        var reader = MessageReader(role: .server, limits: WebSocketLimits(maxMessageBytes: 1000, maxFragments: 4))
        var buffer = ByteBuffer(bytes: FrameBytes.text("first") + FrameBytes.binary([1, 2, 3]))
        let storage = buffer.withVeryUnsafeBytes { $0.baseAddress }
        for offset in [6, 6 + 5 + 6] {
            guard let event = try reader.next(in: &buffer) else {
                Issue.record("expected an event")
                return
            }
            let payload: WebSocketEvent.Payload
            switch event {
            case .text(let found), .binary(let found): payload = found
            default:
                Issue.record("expected a message")
                return
            }
            let address = reader.withPayload(of: payload, in: buffer) { $0.withUnsafeBytes { $0.baseAddress } }
            #expect(address == storage?.advanced(by: offset))
            #expect(reader.bufferedBytes == 0)
        }
        #expect(buffer.withVeryUnsafeBytes { $0.baseAddress } == storage, "unmasking copied the buffer")
        #expect(try reader.next(in: &buffer) == nil)
    }

    @Test(arguments: [1, 3, 4096])
    func `a discarding reader returns only control frames and enforces the limits`(size: Int) {
        var transcript = Transcript(maxMessageBytes: 100)
        transcript.feed(FrameBytes.text("kept") + FrameBytes.binary([1, 2], fin: false))
        transcript.discardMessages()
        let rest =
            FrameBytes.ping([1]) + FrameBytes.continuation([3], fin: true) + FrameBytes.text("discarded") + FrameBytes.frame(0x81, [0xFF])
        for piece in (rest + FrameBytes.pong([2]) + FrameBytes.binary(.noise(100, seed: 1))).pieces(of: size) { transcript.feed(piece) }
        #expect(transcript.entries == [.text("kept"), .ping([1]), .pong([2])])
        #expect(transcript.bufferedBytes == 0)
        transcript.feed(FrameBytes.head(0x82, count: 101))
        #expect(transcript.entries.last == .error(.messageTooBig))
    }

    @Test func `memory for a payload grows with the received bytes and is freed after the event`() {
        var transcript = Transcript(maxMessageBytes: 1 << 30)
        transcript.feed(FrameBytes.head(0x82, count: 1 << 29))
        #expect(transcript.bufferedBytes == 0)
        transcript.feed(.noise(1000, seed: 3))
        #expect((1000...2048).contains(transcript.bufferedBytes))

        var second = Transcript()
        for piece in FrameBytes.binary(.noise(5000, seed: 4)).pieces(of: 1000) { second.feed(piece) }
        #expect(second.peakBufferedBytes >= 4000)
        #expect(second.bufferedBytes == 0)
        #expect(second.entries.count == 1)
    }

    @Test func `all readable bytes are consumed when no event is left`() throws {
        var reader = MessageReader(role: .server, limits: WebSocketLimits(maxMessageBytes: 1000, maxFragments: 4))
        var buffer = ByteBuffer(bytes: FrameBytes.text("abc").dropLast())
        #expect(try reader.next(in: &buffer) == nil)
        #expect(buffer.readableBytes == 0)
        buffer = ByteBuffer(bytes: FrameBytes.text("abc").suffix(1) + FrameBytes.ping().prefix(3))
        #expect(try reader.next(in: &buffer) != nil)
        #expect(buffer.readableBytes == 3)
        #expect(try reader.next(in: &buffer) == nil)
        #expect(buffer.readableBytes == 0)
    }

    @Test func `nothing after a close frame is parsed`() {
        var transcript = Transcript()
        transcript.feed(FrameBytes.close(1001) + FrameBytes.text("late") + [0xFF, 0xFF])
        transcript.feed(FrameBytes.text("later") + [0xFF])
        #expect(transcript.entries == [.close(1001, [])])
        #expect(transcript.isFinished == true)
    }

    @Test func `nothing after an error is parsed or buffered`() {
        var transcript = Transcript()
        transcript.feed(FrameBytes.binary([1, 2, 3], fin: false))
        transcript.feed([0x83])
        transcript.feed(FrameBytes.text("later"))
        #expect(transcript.entries == [.error(.reservedOpcode)])
        #expect(transcript.isFinished == true)
        #expect(transcript.bufferedBytes == 0)
    }
}

extension FrameBytes {
    /// Returns a text message with one frame per part.
    static func continuationChain(_ parts: [String]) -> [UInt8] {
        parts.enumerated().flatMap { index, part in
            frame((index == parts.count - 1 ? 0x80 : 0) | (index == 0 ? 0x01 : 0x00), Array(part.utf8))
        }
    }
}
