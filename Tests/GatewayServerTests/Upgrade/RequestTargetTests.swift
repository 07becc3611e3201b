// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Testing

@Suite struct RequestTargetTests {
    @Test(arguments: [
        ("/v1/ws", "/v1/ws"), ("/v1/ws?", "/v1/ws"), ("/?x", "/"), ("/v1/ws?a=b&c", "/v1/ws"), ("/%77s", "/%77s"), ("//x", "//x"),
        ("https://host:1/ws?x=y", "/ws"), ("HTTP://host", "/"), ("http://host?last_seq=1", "/"),
    ])
    func `the path is extracted unchanged`(target: String, path: String) throws {
        #expect(try RequestTarget(target).path == path)
    }

    @Test(arguments: [
        "", "v1/ws", "*", "host:443", "ftp://host/ws", "http:///ws", "/ws#frag", "/ws x", "/wé", "/ws\u{7F}", "/ws?a=%", "/ws?a=%4",
        "/ws?a=%4g",
        "/ws?%zz=1", "/ws?a=%FF", "/ws?a=%C3", "/ws?last_seq=%ED%A0%80",
    ])
    func `a malformed target is rejected`(target: String) {
        #expect(throws: UpgradeFailure.target) { try RequestTarget(target) }
    }

    @Test(
        arguments: [
            ("/ws", .absent), ("/ws?last_seq=0", .value(0)), ("/ws?last_seq=18446744073709551615", .value(.max)),
            ("/ws?x=1&last_seq=42&y", .value(42)),
            ("/ws?last_seq=%34%32", .value(42)), ("/ws?last_seq=18446744073709551616", .malformed), ("/ws?last_seq=", .malformed),
            ("/ws?last_seq", .malformed), ("/ws?last_seq=-1", .malformed), ("/ws?last_seq=+1", .malformed),
            ("/ws?last_seq=1.0", .malformed),
            ("/ws?last_seq=%D9%A1", .malformed), ("/ws?last_seq=1&last_seq=1", .malformed),
            ("/ws?last_seq=1&last_seq=2&last_seq=3", .malformed),
        ] as [(String, RequestTarget.LastSequence)])
    func `last_seq must be a single 64-bit number`(target: String, expected: RequestTarget.LastSequence) throws {
        #expect(try RequestTarget(target).lastSequence == expected)
    }

    @Test(arguments: [
        ("/ws?errors=inband", true), ("/ws?errors=Inband", false), ("/ws?errors=", false), ("/ws?errors=%69nband", true), ("/ws", false),
    ])
    func `errors=inband requests errors in-band`(target: String, expected: Bool) throws {
        #expect(try RequestTarget(target).errorsInBand == expected)
    }

    @Test(arguments: ["access_token", "token", "bearer", "ACCESS_TOKEN", "%74oken", "resume", "resume_token", "Resume"])
    func `a credential in the query is detected, even an empty one`(name: String) throws {
        #expect(try RequestTarget("/ws?a=1&\(name)=secret").hasCredential)
        #expect(try RequestTarget("/ws?\(name)").hasCredential)
        let target = try RequestTarget("/ws?\(name)=a%2Bb+c")
        #expect((target.bearer ?? target.resume) == "a+b+c")
        #expect(throws: UpgradeFailure.conflictingCredentials) { try RequestTarget("/ws?\(name)=a&\(name)=b") }
    }

    @Test func `other parameters are ignored`() throws {
        let target = try RequestTarget("/ws?tokens=1&x=%00&=&&==&authorization=x")
        #expect(!target.hasCredential && target.bearer == nil && target.resume == nil)
    }
}
