// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayCore

@Suite("The frames of the link between nodes") struct NodeFrameTests {
    private func parse(_ bytes: [UInt8], pieces: Int, _ parser: inout NodeFrameParser) throws(NodeFrameFault) -> [NodeFrame] {
        var frames: [NodeFrame] = []
        var start = 0
        while start < bytes.count {
            let piece = Array(bytes[start..<min(start + pieces, bytes.count)])
            var offset = 0
            while let frame = try parser.next(piece, from: &offset) { frames.append(frame) }
            start += pieces
        }
        return frames
    }

    @Test(arguments: [1, 2, 3, 13, 14, 100_000]) func `frames are parsed however their bytes are divided`(pieces: Int) throws {
        let frames =
            NodeFrame.Kind.allCases.map { NodeFrame($0, stream: .max, payload: [$0.rawValue]) }
            + [NodeFrame(.data), NodeFrame(.data, stream: 1, payload: [UInt8](repeating: 5, count: 3000))]
        var parser = NodeFrameParser()
        #expect(try parse(frames.flatMap(\.bytes), pieces: pieces, &parser) == frames)
        #expect(parser.bufferedBytes == 0)
    }

    @Test func `a frame of the maximum length is parsed, one byte more is an error before anything is buffered`() throws {
        var parser = NodeFrameParser(maximumLength: 20)
        let longest = NodeFrame(.data, stream: 1, payload: [UInt8](repeating: 1, count: 11))
        #expect(try parse(longest.bytes, pieces: 7, &parser) == [longest])
        let head: [UInt8] = [21, 0, 0, 0]
        #expect(throws: NodeFrameFault.tooLong) { try parse(head, pieces: 4, &parser) }
        #expect(parser.bufferedBytes == 4)
        #expect(throws: NodeFrameFault.tooLong) { try parse(longest.bytes, pieces: 100, &parser) }
    }

    @Test func `the default maximum is 4 MiB`() {
        for (length, isAllowed) in [(4 << 20, true), (4 << 20 + 1, false), (Int(UInt32.max), false)] {
            var parser = NodeFrameParser()
            let head = (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
            #expect(((try? parse(head, pieces: 4, &parser)) != nil) == isAllowed, "\(length)")
        }
    }

    @Test func `a frame shorter than its head, or of an unknown type, is an error`() {
        for (bytes, fault) in [
            ([8, 0, 0, 0], NodeFrameFault.tooShort), ([0, 0, 0, 0], .tooShort), ([9, 0, 0, 0, 0], .unknownKind),
            ([9, 0, 0, 0, 13], .unknownKind),
        ] as [([UInt8], NodeFrameFault)] {
            var parser = NodeFrameParser()
            #expect(throws: fault) { try parse(bytes, pieces: 1, &parser) }
        }
    }

    @Test func `memory grows with the received bytes, not with the announced length`() throws {
        var parser = NodeFrameParser()
        let bytes = Array(NodeFrame(.data, stream: 1, payload: [UInt8](repeating: 0, count: 1 << 20)).bytes.prefix(100))
        #expect(try parse(bytes, pieces: 100, &parser).isEmpty)
        #expect(parser.bufferedBytes == 100 - 13)
    }

    @Test func `a greeting is read back, and others aren't greetings`() throws {
        let hello = NodeHello(node: ULID(high: 1, low: 2), nonce: (0..<32).map { $0 })
        #expect(NodeHello(hello.payload) == hello)
        for count in 0..<hello.payload.count { #expect(NodeHello(Array(hello.payload.prefix(count))) == nil) }
        #expect(NodeHello(hello.payload + [0]) == nil)
        for index in 0..<7 {
            var other = hello.payload
            other[index] &+= 1
            #expect(NodeHello(other) == nil)
        }
    }

    @Test func `the authenticated bytes depend on the role, both nodes and both nonces`() {
        func hello(_ node: UInt64, _ nonce: UInt8) -> NodeHello {
            NodeHello(node: ULID(high: 0, low: node), nonce: [UInt8](repeating: nonce, count: 32))
        }
        let transcripts = [
            NodeHello.transcript(byDialer: true, dialer: hello(1, 1), listener: hello(2, 2)),
            NodeHello.transcript(byDialer: false, dialer: hello(1, 1), listener: hello(2, 2)),
            NodeHello.transcript(byDialer: true, dialer: hello(2, 2), listener: hello(1, 1)),
            NodeHello.transcript(byDialer: true, dialer: hello(3, 1), listener: hello(2, 2)),
            NodeHello.transcript(byDialer: true, dialer: hello(1, 3), listener: hello(2, 2)),
            NodeHello.transcript(byDialer: true, dialer: hello(1, 1), listener: hello(2, 3)),
        ]
        #expect(Set(transcripts).count == transcripts.count)
    }
}
