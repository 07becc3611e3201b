// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import Testing

@testable import GatewayServer

@Suite struct TokenGuessTests {
    private func address(_ number: Int) throws -> ClientAddress {
        ClientAddress(try SocketAddress(ipAddress: "10.0.\(number / 256).\(number % 256)", port: 1))
    }

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test func `an address may present 30 wrong tokens, then one every two seconds`() throws {
        let guesses = TokenGuesses()
        let (guesser, other) = (try address(1), try address(2))
        for _ in 0..<30 {
            #expect(guesses.wait(of: guesser, now: at(0)) == nil)
            guesses.failed(guesser, now: at(0))
        }
        #expect(guesses.wait(of: guesser, now: at(0)) == .seconds(2))
        #expect(guesses.wait(of: guesser, now: at(1999)) == .milliseconds(1))
        #expect(guesses.wait(of: other, now: at(0)) == nil)
        #expect(guesses.wait(of: guesser, now: at(2000)) == nil)
        guesses.failed(guesser, now: at(2000))
        #expect(guesses.wait(of: guesser, now: at(2000)) == .seconds(2))
    }

    @Test func `the number of addresses is bounded, and those that guess most are remembered`() throws {
        let guesses = TokenGuesses()
        for _ in 0..<30 { guesses.failed(try address(0), now: at(0)) }
        for number in 1..<TokenGuesses.maximumAddresses { guesses.failed(try address(number), now: at(0)) }
        #expect(guesses.count == TokenGuesses.maximumAddresses)
        guesses.failed(try address(TokenGuesses.maximumAddresses), now: at(0))
        #expect(guesses.count == TokenGuesses.maximumAddresses / 2 + 1)
        #expect(guesses.wait(of: try address(0), now: at(0)) != nil)
        // Addresses that owe nothing are forgotten first.
        let quiet = TokenGuesses()
        for number in 0..<TokenGuesses.maximumAddresses { quiet.failed(try address(number), now: at(0)) }
        quiet.failed(try address(TokenGuesses.maximumAddresses), now: at(2000))
        #expect(quiet.count == 1)
    }

    @Test func `after 30 wrong tokens even the right one gets 429, but health and requests without a token don't`() async throws {
        try await OperationsHarness.run(token: "secret") { server in
            func send(_ token: String) async throws -> HTTPReply {
                try await server.send("GET /v1/gateway", ["Authorization: Bearer \(token)"])
            }
            var guesses = 0
            var right: HTTPReply
            // Every two seconds one more guess is admitted, which a busy machine may need for a request.
            repeat {
                while try await send("guess").status == 401 { guesses += 1 }
                right = try await send("secret")
            } while right.status == 200 && guesses < 300
            #expect(guesses >= 30)
            for reply in [try await send("guess"), right] where reply.status != 401 {
                #expect(reply.status == 429)
                #expect(["1", "2"].contains(reply.fields["retry-after"]))
                #expect(reply.problem?.contains(#""code":"rate_limited""#) == true)
            }
            #expect(try await server.send("GET /livez", ["Authorization: Bearer guess"]).status == 200)
            #expect(try await server.send("GET /v1/gateway").status == 401)
            #expect(try await server.send("GET /v1/gateway", ["Authorization: Bearer x", "Origin: https://evil.example"]).status == 403)
        }
    }
}
