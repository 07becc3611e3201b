// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The effects of the routes of tokens.
package struct AccessOperations: Sendable {
    /// Mints a token.
    package var mint: @Sendable (TokenRequest) async throws(TokenRequest.Fault) -> TokenAuthority.MintedToken
    /// Revokes a user's tokens issued at or before a time (Unix milliseconds), and closes the user's connections. Returns their number.
    package var revoke: @Sendable (_ user: String, _ before: Int64) async throws(Revocations.Full) -> Int
    /// Returns the time in Unix milliseconds.
    package var now: @Sendable () -> Int64

    package init(
        mint: @escaping @Sendable (TokenRequest) async throws(TokenRequest.Fault) -> TokenAuthority.MintedToken,
        revoke: @escaping @Sendable (_ user: String, _ before: Int64) async throws(Revocations.Full) -> Int,
        now: @escaping @Sendable () -> Int64 = { WallTime.now().unixMilliseconds }
    ) {
        self.mint = mint
        self.revoke = revoke
        self.now = now
    }
}

/// The routes of tokens: mint, revoke.
struct AccessRoutes: OperationsRouteGroup {
    /// The maximum size of a body in bytes. A token of 8192 bytes has at most 6 KB of claims.
    static let maximumBodyBytes = 16_000

    let access: AccessOperations

    var routes: [OperationsRoute] {
        [OperationsRoute("/v1/tokens", [.post: .operate]), OperationsRoute("/v1/users/:name/revoke", [.post: .operate])]
    }

    private struct Minted: Encodable {
        var token: String
        var expiresAt: Int64

        enum CodingKeys: String, CodingKey {
            case token
            case expiresAt = "expires_at"
        }
    }

    private struct Revoked: Encodable {
        var user: String
        var before: Int64
        var connectionsClosed: Int

        enum CodingKeys: String, CodingKey {
            case user, before
            case connectionsClosed = "connections_closed"
        }
    }

    func add(to router: Router<OperationsRequestContext>) {
        router.post("/v1/tokens") { [self] request, _ in
            let body = try await Self.body(request)
            let minted: TokenAuthority.MintedToken
            do throws(TokenRequest.Fault) {
                minted = try await access.mint(try TokenRequest(json: body))
            } catch {
                throw OperationsProblem.invalid(error.detail)
            }
            return try Response.json(Minted(token: minted.token, expiresAt: minted.expiresAt))
        }
        router.post("/v1/users/:name/revoke") { [self] request, context in
            let body = try await Self.body(request)
            guard let user = context.parameters.get("name").flatMap({ try? RequestTarget.decoded($0[...]) }), TokenRules.isValid(user: user)
            else {
                throw OperationsProblem.invalid("the user must be 1 to 128 characters of printable ASCII")
            }
            let before: Int64
            do throws(TokenRequest.Fault) {
                before = try RevocationRequest(json: body).before ?? access.now()
            } catch {
                throw OperationsProblem.invalid(error.detail)
            }
            let closed: Int
            do throws(Revocations.Full) {
                closed = try await access.revoke(user, before)
            } catch {
                throw OperationsProblem(
                    status: .serviceUnavailable, code: .overloaded,
                    detail: "the tokens of \(Revocations.maximumCount) users are revoked; wait until some have expired")
            }
            return try Response.json(Revoked(user: user, before: before, connectionsClosed: closed))
        }
    }

    private static func body(_ request: Request) async throws -> [UInt8] {
        let body = try await request.collectBody(upTo: maximumBodyBytes, "body too large; the limit is \(maximumBodyBytes) bytes")
        return Array(body.readableBytesView)
    }
}
