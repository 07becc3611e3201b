// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayWebSocket
import NIOCore
import Testing

@Suite struct CloseFrameTests {
    @Test func `the allowed close codes are those of RFC 6455 and the IANA registry`() {
        let allowed = Set<UInt16>([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014] + Array(3000...4999))
        #expect(Set((UInt16.min...UInt16.max).filter(ClosePayload.isAllowed)) == allowed)
    }

    @Test(arguments: [1000, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4000, 4999] as [UInt16])
    func `a valid close frame is returned with code and reason`(code: UInt16) {
        let reason = Array("auf Wiedersehen 👋".utf8)
        for size in [1, 3, 1000] {
            #expect(Transcript.entries(FrameBytes.close(code, reason).pieces(of: size)) == [.close(code, reason)])
        }
    }

    @Test(arguments: [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] as [UInt16])
    func `a code that must not be sent is rejected`(code: UInt16) {
        #expect(Transcript.entries(FrameBytes.close(code)) == [.error(.invalidCloseCode)])
        #expect(Transcript.entries(FrameBytes.close(code).pieces(of: 1)) == [.error(.invalidCloseCode)])
    }

    @Test func `an empty close frame has no code; a payload of one byte is rejected`() {
        #expect(Transcript.entries(FrameBytes.frame(0x88, [])) == [.close(nil, [])])
        #expect(Transcript.entries(FrameBytes.frame(0x88, [3])) == [.error(.closePayloadTooShort)])
    }

    @Test func `a reason must be UTF-8 of at most 123 bytes`() {
        let longest = [UInt8](repeating: 0x78, count: 123)
        #expect(Transcript.entries(FrameBytes.close(1000, longest)) == [.close(1000, longest)])
        #expect(Transcript.entries(FrameBytes.close(1000, longest + [0x78])) == [.error(.controlFrameTooLong)])
        #expect(Transcript.entries(FrameBytes.close(1000, [0xC3])) == [.error(.invalidCloseReason)])
        #expect(Transcript.entries(FrameBytes.close(1000, [0xED, 0xA0, 0x80])) == [.error(.invalidCloseReason)])
    }

    @Test(arguments: [
        ("", 0), ("short", 5), (String(repeating: "x", count: 123), 123), (String(repeating: "x", count: 124), 123),
        (String(repeating: "é", count: 62), 122), ("x" + String(repeating: "é", count: 61), 123),
        (String(repeating: "世", count: 42), 123), (String(repeating: "😀", count: 31), 120), (String(repeating: "x", count: 5000), 123),
    ])
    func `a sent reason is truncated at a character boundary`(reason: String, count: Int) {
        var output = ByteBuffer()
        MessageWriter(role: .server).writeClose(.internal, reason: reason, to: &output)
        let expected = Array(reason.utf8.prefix(count))
        #expect(Array(output.readableBytesView) == [0x88, UInt8(count + 2), 0x03, 0xF3] + expected)
        #expect(Transcript.entries(Array(output.readableBytesView), role: .client) == [.close(1011, expected)])
    }

    @Test func `the reply to a close frame repeats its code or is empty`() {
        var output = ByteBuffer()
        let writer = MessageWriter(role: .server)
        writer.writeCloseReply(4000, to: &output)
        writer.writeCloseReply(nil, to: &output)
        #expect(Array(output.readableBytesView) == [0x88, 2, 0x0F, 0xA0, 0x88, 0])
    }

    @Test func `each close code of Parley is allowed`() {
        for code in CloseCode.allCases { #expect(ClosePayload.isAllowed(code.rawValue)) }
    }
}
