// SPDX-License-Identifier: Apache-2.0

import GatewayWebSocket
import NIOCore
import Testing

@Suite struct FrameSerializerTests {
    @Test(arguments: [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, 100_000])
    func `a server writes the shortest header and the unmasked payload`(count: Int) {
        let payload = [UInt8].noise(count, seed: 5)
        let serializer = FrameSerializer(role: .server)
        var output = ByteBuffer()
        serializer.write(.binary, payload.span.bytes, to: &output)
        #expect(Array(output.readableBytesView) == FrameBytes.frame(0x82, payload, masked: false))
        #expect(output.readableBytes == serializer.headerByteCount(forPayload: count) + count)
    }

    @Test(arguments: [0, 1, 125, 126, 0xFFFF, 0x1_0000])
    func `a client writes masked frames that a server can read`(count: Int) {
        let payload = [UInt8].noise(count, seed: 6)
        let serializer = FrameSerializer(role: .client)
        var output = ByteBuffer()
        serializer.write(.binary, payload.span.bytes, to: &output)
        let bytes = Array(output.readableBytesView)
        #expect(bytes.count == serializer.headerByteCount(forPayload: count) + count)
        #expect(bytes[1] & 0x80 != 0)
        #expect(Transcript.entries(bytes) == [.binary(payload)])
        if count >= 125 { #expect(Array(bytes.suffix(count)) != payload) }
    }

    @Test func `each frame of a client has its own masking key`() {
        var output = ByteBuffer()
        let zeros = [UInt8](repeating: 0, count: 4)
        for _ in 0..<32 { FrameSerializer(role: .client).write(.ping, zeros.span.bytes, to: &output) }
        let keys = Array(output.readableBytesView).pieces(of: 10).map { Array($0[2..<6]) }
        #expect(Set(keys).count > 30)
    }

    @Test func `flags and opcode are encoded in the first byte`() {
        var output = ByteBuffer()
        let serializer = FrameSerializer(role: .server)
        let empty: [UInt8] = []
        serializer.write(.text, empty.span.bytes, isFinal: false, isCompressed: true, to: &output)
        serializer.write(.continuation, empty.span.bytes, to: &output)
        serializer.write(.ping, empty.span.bytes, to: &output)
        serializer.write(.pong, empty.span.bytes, to: &output)
        #expect(Array(output.readableBytesView) == [0x41, 0, 0x80, 0, 0x89, 0, 0x8A, 0])
    }

    @Test func `the payload of a control frame is truncated to 125 bytes`() {
        var output = ByteBuffer()
        let payload = [UInt8](repeating: 1, count: 200)
        FrameSerializer(role: .server).write(.pong, payload.span.bytes, to: &output)
        #expect(Array(output.readableBytesView) == [0x8A, 125] + payload.prefix(125))
    }
}
