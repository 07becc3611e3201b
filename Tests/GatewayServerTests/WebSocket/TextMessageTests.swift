// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import Testing

@Suite struct TextMessageTests {
    /// "κόσμε", with characters of two and three bytes.
    private static let cosmos: [UInt8] = [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xCF, 0x83, 0xCE, 0xBC, 0xCE, 0xB5]

    @Test func `a character may be split between fragments`() {
        for cut in 0...Self.cosmos.count {
            let bytes = FrameBytes.frame(0x01, Array(Self.cosmos[..<cut])) + FrameBytes.frame(0x80, Array(Self.cosmos[cut...]))
            #expect(Transcript.entries(bytes) == [.text(Self.cosmos)])
            #expect(Transcript.entries(bytes.pieces(of: 1)) == [.text(Self.cosmos)])
        }
    }

    @Test(
        arguments: [
            [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xCF, 0x83, 0xCE, 0xBC, 0xCE, 0xB5, 0xED, 0xA0, 0x80, 0x65],
            [0xF4, 0x90, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xFE], [0xFF], [0x80],
            [0xED, 0xBF, 0xBF],
        ] as [[UInt8]])
    func `invalid UTF-8 is rejected, whether unsplit, split or fragmented`(text: [UInt8]) {
        #expect(Transcript.entries(FrameBytes.frame(0x81, text)) == [.error(.invalidUTF8)])
        #expect(Transcript.entries(FrameBytes.frame(0x81, text).pieces(of: 1)) == [.error(.invalidUTF8)])
        let fragments = text.flatMap { FrameBytes.frame(0x00, [$0]) }
        #expect(Transcript.entries(FrameBytes.frame(0x01, []) + fragments + FrameBytes.frame(0x80, [])) == [.error(.invalidUTF8)])
    }

    @Test(arguments: [[0xCE], [0xE1, 0xBD], [0xF0, 0x9F, 0x98]] as [[UInt8]])
    func `a message that ends within a character is rejected`(end: [UInt8]) {
        #expect(Transcript.entries(FrameBytes.frame(0x81, [0x61] + end)) == [.error(.invalidUTF8)])
        #expect(Transcript.entries(FrameBytes.frame(0x01, [0x61] + end) + FrameBytes.frame(0x80, [])) == [.error(.invalidUTF8)])
        #expect(Transcript.entries(FrameBytes.frame(0x01, [0x61] + end) + FrameBytes.ping()) == [.ping([])], "the rest may follow")
    }

    @Test func `an invalid byte is rejected before the end of its frame`() {
        var transcript = Transcript()
        transcript.feed(FrameBytes.head(0x81, count: 1000))
        transcript.feed(FrameBytes.mask(Array("good so far".utf8)))
        #expect(transcript.entries == [])
        transcript.feed(FrameBytes.mask([0xF4, 0x90], phase: 11))
        #expect(transcript.entries == [.error(.invalidUTF8)])
    }

    @Test func `an invalid byte is rejected before the end of its message`() {
        let bytes = FrameBytes.frame(0x01, Self.cosmos) + FrameBytes.frame(0x00, [0xF4, 0x90])
        #expect(Transcript.entries(bytes) == [.error(.invalidUTF8)])
    }

    @Test func `binary messages aren't validated`() {
        #expect(Transcript.entries(FrameBytes.binary([0xFF, 0xC0, 0x80])) == [.binary([0xFF, 0xC0, 0x80])])
    }

    @Test func `validation restarts with each message`() {
        let bytes = FrameBytes.frame(0x02, [0xCE]) + FrameBytes.frame(0x80, [0xE1]) + FrameBytes.frame(0x81, Self.cosmos)
        #expect(Transcript.entries(bytes) == [.binary([0xCE, 0xE1]), .text(Self.cosmos)])
    }
}
