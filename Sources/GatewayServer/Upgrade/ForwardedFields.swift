// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import NIOHTTP1

/// The fields in which a trusted proxy announces the client of a request: `Forwarded`, `X-Forwarded-For` and `X-Forwarded-Proto`.
package enum ForwardedFields {
    /// Takes the announced address for the client's. Ignored unless the connection is a trusted proxy's.
    ///
    /// - Throws: a rejection with 429 if a limit of the announced address is reached
    package static func apply(_ headers: HTTPHeaders, to connection: Connection, loop: EventLoopState) throws(UpgradePolicy.Rejection) {
        guard connection.trustsForwardedFields else { return }
        let client = ForwardedClient(
            forwarded: headers["Forwarded"], forwardedFor: headers["X-Forwarded-For"], forwardedProto: headers["X-Forwarded-Proto"],
            trusted: loop.shared.connectionLimits.trustedProxies)
        connection.isUnencrypted = client.isEncrypted == false
        guard let address = client.address else { return }
        guard connection.announce(address, port: client.port, in: loop) else {
            throw UpgradePolicy.Rejection(.tooManyRequests, .addressLimit, retryAfter: 5, close: .tryAgainLater)
        }
    }
}
