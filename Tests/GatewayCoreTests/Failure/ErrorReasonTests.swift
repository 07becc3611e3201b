// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct ErrorReasonTests {
    @Test(arguments: ErrorReason.allCases)
    func `a message is one short ASCII sentence without a period`(reason: ErrorReason) {
        #expect(reason.message.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        #expect((10...120).contains(reason.message.utf8.count) && !reason.message.hasSuffix("."))
        #expect(reason.message.first?.isUppercase == true || reason.message.hasPrefix("`") || reason.message.hasPrefix("Sec-"))
    }

    @Test func `only reserved codes have no reason`() {
        let unused = Set(ErrorCode.allCases).subtracting(ErrorReason.allCases.map(\.code))
        #expect(unused == [.cancelled])
    }

    @Test func `a placeholder ends its message and is replaced by the value`() {
        for reason in ErrorReason.allCases where reason.message.contains("{") {
            #expect(reason.message.hasSuffix("}"), "\(reason)")
            #expect(reason.message(7).hasSuffix(" 7"), "\(reason)")
        }
        #expect(ErrorReason.wrongChunk.message(17) == "Unexpected chunk number; the next chunk is 17")
    }
}
