// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import Support
import Synchronization
import Testing

@Suite struct AccessRoutesTests {
    private final class Revocation: Sendable {
        let calls = Mutex<[(user: String, before: Int64)]>([])
    }

    private func run(
        revocation: Revocation = Revocation(), isFull: Bool = false, token: String? = nil,
        _ body: @escaping @Sendable (OperationsHarness, TokenAuthority) async throws -> Void
    ) async throws {
        let authority = try TokenTestKeys.authority()
        let access = AccessOperations(
            mint: { request throws(TokenRequest.Fault) in try authority.mint(request, now: TokenTestKeys.now) },
            revoke: { user, before throws(Revocations.Full) in
                if isFull { throw Revocations.Full() }
                revocation.calls.withLock { $0.append((user, before)) }
                return 2
            }, now: { TokenTestKeys.now })
        try await OperationsHarness.run(token: token, access: access) { try await body($0, authority) }
    }

    @Test func `a token is minted with its expiry`() async throws {
        try await run { harness, authority in
            let reply = try await harness.send(
                "POST /v1/tokens", body: #"{"user":"u1","expires_in":"60s","uses":1,"parley":{"routes":["talk"]}}"#)
            #expect(reply.status == 200)
            #expect(reply.fields["cache-control"] == "no-store")
            let object = try #require(JSONSerialization.jsonObject(with: Data(reply.body.utf8)) as? [String: Any])
            #expect(object.keys.sorted() == ["expires_at", "token"])
            #expect(object["expires_at"] as? Int64 == TokenTestKeys.now + 60_000)
            guard case .granted(let grant) = authority.verify(try #require(object["token"] as? String), now: TokenTestKeys.now) else {
                throw TestFailure("the token isn't granted")
            }
            #expect(grant.user == "u1" && grant.uses == 1 && grant.parley.routes == ["talk"])
        }
    }

    @Test func `an invalid request for a token is 400 with the reason`() async throws {
        try await run { harness, _ in
            for (body, detail) in [
                ("", "the body must be a JSON object"), ("{}", "user is required"),
                (#"{"user":"u","expires_in":"25h"}"#, "expires_in must be a duration from 1s to 24h"),
                (#"{"user":"u","parley":{"limits":{"text":1}}}"#, "parley.limits has an unknown limit"),
                (#"{"user":"u","x":1}"#, "unknown member"),
            ] {
                let reply = try await harness.send("POST /v1/tokens", body: body)
                #expect(reply.status == 400)
                #expect(try #require(reply.problem).contains("\"detail\":\"\(detail)"))
            }
            let large = try await harness.send("POST /v1/tokens", body: String(repeating: " ", count: 16_001))
            #expect(large.status == 413)
            let reply = try await harness.send("GET /v1/tokens")
            #expect(reply.status == 405 && reply.fields["allow"] == "POST")
        }
    }

    @Test func `a revocation returns the number of connections that it closed`() async throws {
        let revocation = Revocation()
        try await run(revocation: revocation) { harness, _ in
            let reply = try await harness.send("POST /v1/users/a%20b%2Fc/revoke", body: #"{"before":5}"#)
            #expect(reply.status == 200)
            #expect(reply.body == #"{"before":5,"connections_closed":2,"user":"a b/c"}"#)
            let now = try await harness.send("POST /v1/users/u1/revoke")
            #expect(now.body == #"{"before":1800000000000,"connections_closed":2,"user":"u1"}"#)
        }
        #expect(revocation.calls.withLock { $0.map(\.user) } == ["a b/c", "u1"])
        #expect(revocation.calls.withLock { $0.map(\.before) } == [5, TokenTestKeys.now])
    }

    @Test func `an invalid revocation is 400, and one beyond the bound 503`() async throws {
        try await run { harness, _ in
            for (user, body) in [
                ("u1", #"{"before":"now"}"#), ("u1", "x"), ("%00", ""), ("%C3%A9", ""), (String(repeating: "u", count: 129), ""),
            ] {
                let reply = try await harness.send("POST /v1/users/\(user)/revoke", body: body)
                #expect(reply.status == 400)
            }
        }
        try await run(isFull: true) { harness, _ in
            let reply = try await harness.send("POST /v1/users/u1/revoke")
            #expect(reply.status == 503)
        }
    }

    @Test func `both routes require the operations token`() async throws {
        try await run(token: "secret") { harness, _ in
            for line in ["POST /v1/tokens", "POST /v1/users/u1/revoke"] {
                let rejected = try await harness.send(line, body: #"{"user":"u1"}"#)
                #expect(rejected.status == 401)
                let reply = try await harness.send(line, ["Authorization: Bearer secret"], body: "{}")
                #expect(reply.status != 401)
            }
        }
    }
}
