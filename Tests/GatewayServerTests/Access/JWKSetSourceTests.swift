// SPDX-License-Identifier: Apache-2.0

import Support
import Synchronization
import Testing

@testable import GatewayServer

@Suite(.bounded) struct JWKSetSourceTests {
    private typealias Harness = JWKSetSourceHarness

    private static let unreachable = Result<[UInt8], JWKSetError>.failure(.fetch(.status(503)))

    // MARK: Times

    @Test func `the start doesn't wait for the first fetch, whose keys are then reported`() async {
        let harness = Harness()
        #expect(harness.part == .notReady("the JWK set https://idp.example/jwks isn't fetched yet"))
        #expect(harness.fetched == [])
        harness.source.start()
        #expect(await harness.waitForFetch(1))
        #expect(harness.keys.value == [])
        #expect(!harness.health.report.isReady)
        await harness.end(1, .success(Harness.set("a", "b")))
        #expect(harness.keys.value == ["a", "b"])
        #expect(harness.part == .ready)
        #expect(harness.fetched == ["https://idp.example/jwks?secret"])
        harness.stop()
    }

    @Test func `the set is fetched again when the refresh interval has passed`() async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, .success(Harness.set("a")))
        harness.advance(.seconds(3599))
        #expect(harness.fetched.count == 1)
        harness.advance(.seconds(1))
        await harness.end(2, .success(Harness.set("b")))
        #expect(harness.keys.value == ["b"])
        harness.advance(.seconds(3600))
        #expect(await harness.waitForFetch(3))
        harness.stop()
    }

    @Test(arguments: [(29_999, false), (30_000, true), (30_001, true)])
    func `an unknown key causes a fetch when the minimum interval has passed`(_ milliseconds: Int, _ isFetched: Bool) async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, .success(Harness.set("old")))
        harness.advance(.milliseconds(milliseconds))
        harness.demand()
        if isFetched {
            #expect(harness.outcomes.value == [])
            await harness.end(2, .success(Harness.set("old", "new")))
            #expect(await harness.outcomes.wait(timeout: .seconds(10)) { $0.isEmpty ? nil : $0 } == [true])
            #expect(harness.keys.value == ["old", "new"])
        } else {
            #expect(harness.outcomes.value == [false], "answered before the call returned")
            #expect(harness.fetched.count == 1)
        }
        harness.stop()
    }

    @Test func `the keys are in force when a waiting caller is answered`() async {
        let harness = Harness()
        harness.source.start()
        let seen = AwaitableValue<[String]?>(nil)
        harness.source.requestRefresh { _ in seen.change { $0 = harness.keys.value } }
        await harness.end(1, .success(Harness.set("a")))
        #expect(await seen.wait(timeout: .seconds(10)) { $0 } == ["a"])
        harness.stop()
    }

    @Test func `concurrent demands share one fetch`() async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, .success(Harness.set("a")))
        harness.advance(.seconds(30))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 { group.addTask { harness.demand() } }
        }
        await harness.end(2, Self.unreachable)
        #expect(await harness.outcomes.wait(timeout: .seconds(10)) { $0.count == 50 ? true : nil } == true)
        #expect(harness.outcomes.value.allSatisfy { !$0 })
        #expect(harness.fetched.count == 2)
        harness.stop()
    }

    @Test func `at most 1000 callers wait, further ones are answered at once`() async {
        let harness = Harness()
        harness.source.start()
        #expect(await harness.waitForFetch(1))
        for _ in 0..<1000 { harness.demand() }
        #expect(harness.outcomes.value == [])
        harness.demand()
        #expect(harness.outcomes.value == [false])
        await harness.end(1, .success(Harness.set("a")))
        #expect(await harness.outcomes.wait(timeout: .seconds(10)) { $0.count == 1001 ? true : nil } == true)
        harness.stop()
    }

    @Test func `a demand is answered at once without a URL, and before the start and after the end`() async {
        let harness = Harness { $0.url = nil }
        harness.source.start()
        harness.demand()
        #expect(harness.outcomes.value == [false])
        harness.stop()
        let stopped = Harness()
        stopped.demand()
        stopped.source.start()
        #expect(await stopped.waitForFetch(1))
        stopped.demand()
        #expect(stopped.outcomes.value == [false])
        stopped.stop()
        stopped.demand()
        #expect(stopped.outcomes.value == [false, false, false], "the end answers those who wait")
    }

    // MARK: Failures

    @Test func `the last good set stays in force when a fetch fails, and the part is degraded`() async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, .success(Harness.set("a")))
        harness.advance(.seconds(3600))
        await harness.end(2, Self.unreachable)
        #expect(harness.keys.value == ["a"])
        #expect(
            harness.part == .degraded("the JWK set https://idp.example/jwks can't be loaded: the server responded with status 503"))
        #expect(harness.health.report.isReady)
        harness.advance(.seconds(30))
        await harness.end(3, .success(Harness.set("b")))
        #expect(harness.keys.value == ["b"])
        #expect(harness.part == .ready)
        harness.stop()
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"AQAB"}]}"#, #"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#,
        #"{"keys":[{"kty":"EC","crv":"P-256","x":"AQAB","y":"AQAB"}]}"#,
        #"{"keys":[\#(Array(repeating: "{}", count: 101).joined(separator: ","))]}"#,
    ])
    func `a set without a usable key doesn't replace the last good one`(_ text: String) async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, .success(Harness.set("a")))
        harness.advance(.seconds(30))
        harness.demand()
        await harness.end(2, .success(Array(text.utf8)))
        #expect(harness.keys.value == ["a"])
        #expect(await harness.outcomes.wait(timeout: .seconds(10)) { $0.isEmpty ? nil : $0 } == [false])
        #expect(harness.health.report.isReady && harness.health.report.isDegraded)
        harness.stop()
    }

    @Test func `a failed first fetch is retried after the minimum interval, then less often`() async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, Self.unreachable)
        #expect(harness.part == .notReady("the JWK set https://idp.example/jwks can't be loaded: the server responded with status 503"))
        harness.advance(.milliseconds(29_999))
        #expect(harness.fetched.count == 1)
        harness.advance(.milliseconds(1))
        await harness.end(2, .success(Harness.set("a")))
        #expect(harness.health.report.isReady)
        harness.stop()
    }

    @Test func `the gateway is ready without the set if other keys verify tokens`() async {
        let harness = Harness { $0.hasOtherKeys = true }
        #expect(harness.part == .degraded("the JWK set https://idp.example/jwks isn't fetched yet"))
        harness.source.start()
        await harness.end(1, Self.unreachable)
        #expect(harness.health.report.isReady && harness.health.report.isDegraded)
        harness.stop()
    }

    @Test func `the part is ready without a set only if other keys verify tokens`() {
        let without = Harness { $0.url = nil }
        #expect(without.part == .notReady("no key can verify tokens"))
        let with = Harness { ($0.url, $0.hasOtherKeys) = (nil, true) }
        #expect(with.part == .ready)
        without.stop()
        with.stop()
    }

    @Test func `only a JWT gateway whose keys all come from JWK sets depends on them`() throws {
        var configuration = GatewayConfiguration()
        configuration.auth.jwksFile = "jwks.json"
        configuration.auth.jwksRefresh = .seconds(60)
        #expect(JWKSetSettings(configuration) == JWKSetSettings(file: "jwks.json", refresh: .seconds(60)))
        configuration.auth.secrets = [String(repeating: "s", count: 32)]
        #expect(JWKSetSettings(configuration).hasOtherKeys)
        configuration.auth.secrets = []
        configuration.auth.mode = .mtls
        #expect(JWKSetSettings(configuration).hasOtherKeys)
    }

    // MARK: The log

    @Test func `the log names the skipped keys by their position, and repeats neither them nor a failure`() async {
        let harness = Harness()
        let secret = #"{"kty":"EC","kid":"TOP","crv":"P-256","x":"AQAB","y":"AQAB","d":"SECRET"}"#
        let set = String(decoding: Harness.set("a"), as: UTF8.self).dropLast(2) + ",\(secret),{\"kty\":\"X\"}]}"
        harness.source.start()
        await harness.end(1, .success(Array(set.utf8)))
        var expected = [
            "warning key of the JWK set skipped key=2 reason=the key is private or a secret, which a JWK set must not contain; "
                + "replace the key and what it has signed set=https://idp.example/jwks",
            "info key of the JWK set skipped key=3 reason=kty isn't RSA, EC or OKP set=https://idp.example/jwks",
            "notice JWK set loaded keys=1 set=https://idp.example/jwks",
        ]
        #expect(harness.lines == expected)
        harness.advance(.seconds(3600))
        await harness.end(2, .success(Array(set.utf8)))
        #expect(harness.lines == expected)
        for number in 3...5 {
            harness.advance(.seconds(number == 3 ? 3600 : 30))
            await harness.end(number, Self.unreachable)
        }
        expected.append(
            "warning JWK set not loaded error=the server responded with status 503 keys_in_force=1 set=https://idp.example/jwks")
        #expect(harness.lines == expected)
        harness.advance(.seconds(30))
        await harness.end(6, .failure(.fetch(.notHTTP)))
        expected.append(
            "warning JWK set not loaded error=the response isn't HTTP keys_in_force=1 set=https://idp.example/jwks suppressed=2")
        #expect(harness.lines == expected)
        harness.stop()
    }

    // MARK: Reloading

    @Test func `a new URL is fetched at once, and the former keys stay in force until then`() async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, .success(Harness.set("a")))
        harness.source.apply(JWKSetSettings(url: UpstreamURL("https://new.example/"), authority: "ca.pem"))
        #expect(harness.keys.value == ["a"])
        #expect(harness.part == .degraded("the JWK set https://new.example/ isn't fetched yet"))
        await harness.end(2, .success(Harness.set("b")))
        #expect(harness.keys.value == ["b"])
        #expect(harness.fetched.last == "https://new.example/ ca.pem")
        harness.stop()
    }

    @Test func `the keys of a former URL are dropped when the first fetch of the new one fails`() async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, .success(Harness.set("a")))
        harness.source.apply(JWKSetSettings(url: UpstreamURL("https://new.example/")))
        await harness.end(2, Self.unreachable)
        #expect(harness.keys.value == [])
        #expect(!harness.health.report.isReady)
        harness.stop()
    }

    @Test func `a fetch of a former URL has no effect, and its callers wait for the new one`() async {
        let harness = Harness()
        harness.source.start()
        #expect(await harness.waitForFetch(1))
        harness.demand()
        harness.source.apply(JWKSetSettings(url: UpstreamURL("https://new.example/")))
        #expect(await harness.waitForFetch(2))
        harness.endObsolete(1, .success(Harness.set("obsolete")))
        #expect(harness.outcomes.value == [])
        await harness.end(2, .success(Harness.set("new")))
        #expect(await harness.outcomes.wait(timeout: .seconds(10)) { $0.isEmpty ? nil : $0 } == [true])
        #expect(harness.keys.value == ["new"])
        harness.stop()
    }

    @Test func `a removed URL takes its keys along and answers the callers that wait`() async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, .success(Harness.set("a")))
        harness.advance(.seconds(30))
        harness.demand()
        harness.source.apply(JWKSetSettings(hasOtherKeys: true))
        #expect(harness.outcomes.value == [false])
        #expect(harness.keys.value == [])
        #expect(harness.part == .ready)
        harness.stop()
    }

    @Test func `a reload without a change fetches only if the last fetch failed`() async {
        let harness = Harness()
        let settings = JWKSetSettings(url: UpstreamURL("https://idp.example/jwks?secret"))
        harness.source.start()
        await harness.end(1, .success(Harness.set("a")))
        harness.source.apply(settings)
        #expect(harness.fetched.count == 1)
        harness.advance(.seconds(3600))
        await harness.end(2, Self.unreachable)
        harness.source.apply(settings)
        await harness.end(3, .success(Harness.set("b")))
        #expect(harness.keys.value == ["b"])
        harness.stop()
    }

    @Test func `a shorter refresh interval takes effect with the reload`() async {
        let harness = Harness()
        harness.source.start()
        await harness.end(1, .success(Harness.set("a")))
        harness.advance(.seconds(100))
        harness.source.apply(JWKSetSettings(url: UpstreamURL("https://idp.example/jwks?secret"), refresh: .seconds(120)))
        harness.advance(.seconds(19))
        #expect(harness.fetched.count == 1)
        harness.advance(.seconds(1))
        #expect(await harness.waitForFetch(2))
        harness.stop()
    }

    // MARK: The file

    @Test func `the file is read at startup and when it changes, and its last good set stays in force`() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write(String(decoding: Harness.set("a"), as: UTF8.self), to: "jwks.json")
        let harness = Harness { ($0.url, $0.file) = (nil, path) }
        #expect(harness.keys.value == ["a"])
        #expect(harness.part == .ready)
        var watch = FileWatch()
        func check() { for _ in 0..<2 { harness.source.checkFile(&watch) } }
        try directory.write(String(decoding: Harness.set("b", "c"), as: UTF8.self), to: "jwks.json")
        check()
        #expect(harness.keys.value == ["b", "c"])
        try directory.write("{", to: "jwks.json")
        check()
        #expect(harness.keys.value == ["b", "c"])
        #expect(harness.part == .degraded("the JWK set \(path) can't be loaded: the JWK set isn't a strict JSON object"))
        try directory.write(String(decoding: Harness.set("d"), as: UTF8.self), to: "jwks.json")
        check()
        #expect(harness.keys.value == ["d"])
        #expect(harness.part == .ready)
        harness.stop()
    }

    @Test func `a missing file leaves the gateway unready, and is read when it appears`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/jwks.json"
        let harness = Harness { ($0.url, $0.file) = (nil, path) }
        #expect(harness.part == .notReady("the JWK set \(path) can't be loaded: the file doesn't exist"))
        try directory.write(String(decoding: Harness.set("a"), as: UTF8.self), to: "jwks.json")
        var watch = FileWatch()
        for _ in 0..<2 { harness.source.checkFile(&watch) }
        #expect(harness.keys.value == ["a"])
        harness.stop()
    }

    @Test(arguments: [(0, true), (1, false)])
    func `a file has at most 1 MiB`(_ excess: Int, _ isAccepted: Bool) throws {
        let directory = try TemporaryDirectory()
        let text = String(decoding: Harness.set("a"), as: UTF8.self)
        let path = try directory.write(text + String(repeating: " ", count: 1 << 20 - text.utf8.count + excess), to: "jwks.json")
        let harness = Harness { ($0.url, $0.file) = (nil, path) }
        #expect(harness.keys.value == (isAccepted ? ["a"] : []))
        harness.stop()
    }

    @Test func `the keys of the file and of the URL are in force together`() async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write(String(decoding: Harness.set("a"), as: UTF8.self), to: "jwks.json")
        let harness = Harness { $0.file = path }
        #expect(harness.part == .degraded("the JWK set https://idp.example/jwks isn't fetched yet"))
        harness.source.start()
        await harness.end(1, .success(Harness.set("b")))
        #expect(harness.keys.value == ["a", "b"])
        harness.source.apply(JWKSetSettings(url: UpstreamURL("https://idp.example/jwks?secret")))
        #expect(harness.keys.value == ["b"])
        harness.stop()
    }

    @Test func `a reload reads a new file, and the former keys are dropped if it can't be used`() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write(String(decoding: Harness.set("a"), as: UTF8.self), to: "jwks.json")
        let harness = Harness { ($0.url, $0.file) = (nil, path) }
        harness.source.apply(JWKSetSettings(file: directory.path + "/missing.json"))
        #expect(harness.keys.value == [])
        harness.source.apply(JWKSetSettings(file: path))
        #expect(harness.keys.value == ["a"])
        harness.stop()
    }
}
