// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct Base64URLTests {
    @Test func `bytes of every length round-trip without padding`() {
        for count in 0...70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 251) }
            let text = Base64URL.encode(bytes)
            #expect(text.count == (count * 8 + 5) / 6)
            #expect(!text.contains(UInt8(ascii: "=")))
            #expect(Base64URL.decode(text) == bytes)
        }
        #expect(Base64URL.encode([0xFB, 0xFF, 0xFE]) == Array("-__-".utf8))
    }

    @Test(arguments: ["+__-", "-_/-", "Zg==", "Zg", "Zh", "Zm9", "Z", "Zm9vZ", "Zm 9", "Zm9v\n"])
    func `only the URL alphabet with zeros in the unused bits is decoded`(text: String) {
        #expect((Base64URL.decode(Array(text.utf8)) != nil) == ["Zg", "Zm8"].contains(text))
    }
}
