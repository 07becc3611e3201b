// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayTLS

/// JSON Web Tokens signed with HS256, and their secret.
package enum TestToken {
    package static let secret = "a secret of the tests with more than 32 bytes"

    /// Returns a token of a user.
    ///
    /// - Parameters:
    ///   - seconds: the time until `exp`
    ///   - issued: the time since `iat`, in seconds; nil for a token without `iat`
    ///   - parley: the claim `parley`
    ///   - change: changes the claims before they are signed
    package static func make(
        _ user: String, expiresIn seconds: Double = 600, issuedAgo issued: Double? = 0, parley: JSON? = nil, secret: String = secret,
        _ change: (inout [String: JSON]) -> Void = { _ in }
    ) throws -> String {
        let now = Date().timeIntervalSince1970
        var claims: [String: JSON] = ["sub": .string(user), "exp": .number((now + seconds).rounded(.down))]
        if let issued { claims["iat"] = .number((now - issued).rounded(.down)) }
        if let parley { claims["parley"] = parley }
        change(&claims)
        return try sign(header: #"{"alg":"HS256","typ":"JWT"}"#, claims: JSON.object(claims).text, secret: secret)
    }

    /// Returns a token with this header and these claims as they are.
    package static func sign(header: String, claims: String, secret: String = secret) throws -> String {
        let signed = encoded(Array(header.utf8)) + "." + encoded(Array(claims.utf8))
        let signature = try SignatureKey(secret: Array(secret.utf8)).sign(.hs256, Array(signed.utf8)[...])
        let token = signed + "." + encoded(signature)
        LogScan.register(token)
        return token
    }

    /// Encodes bytes in base64url without padding (RFC 7515 §2).
    package static func encoded(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
