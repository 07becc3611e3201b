// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayWebSocket
import Testing

@Suite struct FrameHeaderTests {
    private func parse(_ bytes: [UInt8], role: WebSocketRole = .server, compression: Bool = false) throws(WebSocketError) -> FrameHeader? {
        try FrameHeader.parse(bytes.span.bytes, role: role, allowsCompression: compression)
    }

    @Test(arguments: [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, UInt64(Int.max)] as [UInt64])
    func `each length is parsed, and every prefix of the header is incomplete`(count: UInt64) throws {
        let bytes = FrameBytes.head(0x82, count: count)
        let header = try #require(try parse(bytes))
        #expect(header.payloadCount == Int(count))
        #expect(header.byteCount == bytes.count)
        #expect(header.opcode == .binary && header.isFinal && !header.isCompressed)
        #expect(header.maskingKey?.keyBytes == FrameBytes.key)
        for end in 0..<bytes.count { #expect(try parse(Array(bytes[..<end])) == nil) }
    }

    @Test(arguments: [(0, 2), (125, 2), (125, 8), (126, 8), (0xFFFF, 8)] as [(UInt64, Int)])
    func `a length encoded in more bytes than necessary is rejected`(count: UInt64, lengthBytes: Int) {
        #expect(throws: WebSocketError.nonMinimalLength) {
            try parse(FrameBytes.head(0x82, count: count, lengthBytes: lengthBytes))
        }
    }

    @Test(arguments: [1 << 63, UInt64.max])
    func `a length of 2 to the 63 or more is rejected`(count: UInt64) {
        #expect(throws: WebSocketError.lengthOver63Bits) { try parse(FrameBytes.head(0x82, count: count)) }
    }

    @Test(arguments: [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8])
    func `reserved opcodes are rejected at the first byte`(opcode: UInt8) {
        #expect(throws: WebSocketError.reservedOpcode) { try parse([0x80 | opcode]) }
    }

    @Test(arguments: [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70] as [UInt8], [0x0, 0x1, 0x2, 0x8, 0x9, 0xA] as [UInt8])
    func `reserved bits are rejected at the first byte`(bits: UInt8, opcode: UInt8) throws {
        #expect(throws: WebSocketError.reservedBits) { try parse([0x80 | bits | opcode]) }
        // With permessage-deflate, RSV1 alone is allowed, and only on the first frame of a message.
        if bits == 0x40, opcode == 1 || opcode == 2 {
            #expect(try parse(FrameBytes.head(0x80 | bits | opcode, count: 1), compression: true)?.isCompressed == true)
        } else {
            #expect(throws: WebSocketError.reservedBits) { try parse([0x80 | bits | opcode], compression: true) }
        }
    }

    @Test func `a server requires masked frames and a client unmasked ones`() throws {
        #expect(throws: WebSocketError.unmaskedFrame) { try parse([0x82, 0x01]) }
        #expect(throws: WebSocketError.maskedFrame) { try parse([0x82, 0x81], role: .client) }
        #expect(try parse([0x82, 0x01], role: .client)?.maskingKey == nil)
    }

    @Test(arguments: [0x8, 0x9, 0xA] as [UInt8])
    func `control frames over 125 bytes or fragmented are rejected`(opcode: UInt8) throws {
        #expect(throws: WebSocketError.fragmentedControlFrame) { try parse([opcode]) }
        #expect(throws: WebSocketError.controlFrameTooLong) { try parse([0x80 | opcode, 0x80 | 126]) }
        #expect(throws: WebSocketError.controlFrameTooLong) { try parse([0x80 | opcode, 0x80 | 127]) }
        #expect(try parse(FrameBytes.head(0x80 | opcode, count: 125))?.payloadCount == 125)
    }

    @Test func `each error has a close code and a reason that fits a close frame`() {
        for error in WebSocketError.allCases {
            #expect(ClosePayload.isAllowed(error.closeCode.rawValue))
            #expect((1...ClosePayload.maximumReasonBytes).contains(error.reason.utf8.count))
            #expect(error.reason.utf8.allSatisfy { $0 < 0x80 })
        }
        #expect(Set(WebSocketError.allCases.map(\.reason)).count == WebSocketError.allCases.count)
    }
}
