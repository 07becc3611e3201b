// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct MessageIDTests {
    @Test(arguments: ["a", "Z9._:-", String(repeating: "x", count: 64)])
    func `1 to 64 allowed characters are a valid id`(text: String) throws {
        let id = try #require(MessageID(text))
        #expect(id.description == text)
        #expect(id.count == text.utf8.count)
        #expect(Array(text.utf8).withRawSpan { id.equals($0) })
    }

    @Test(arguments: ["", String(repeating: "x", count: 65), "a b", "ü", "a\"", "a/b", "a\u{0}", "{", "@", "[", "`"])
    func `other texts aren't valid ids`(text: String) {
        #expect(MessageID(text) == nil)
    }

    @Test func `exactly 66 characters are allowed`() {
        let allowed = (UInt8.min...UInt8.max).filter { MessageID.isAllowed($0) }
        #expect(
            String(decoding: allowed, as: UTF8.self) == "-.0123456789:ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
    }

    @Test func `ids are equal if their characters are equal`() throws {
        let one = try #require(MessageID("abc"))
        let same = try #require(MessageID("abc"))
        let longer = try #require(MessageID("abcd"))
        let other = try #require(MessageID("abd"))
        #expect(one == same && one.hashValue == same.hashValue)
        #expect(one != longer && one != other)
        #expect(!Array("abcd".utf8).withRawSpan { one.equals($0) })
    }
}
