// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayTLS

/// The secret with which a client resumes its session: 256 random bits in base64url (RFC 4648 §5) without padding.
package struct ResumeToken: Sendable {
    /// The token as sent to the client.
    package let text: [UInt8]
    /// The hash, which the gateway stores instead of the token.
    package var hash: TokenHash { Self.hash(text) }

    /// Creates a random token.
    package init() {
        var generator = SystemRandomNumberGenerator()
        text = Base64URL.encode((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    /// Returns the hash by which a presented token is looked up; nil when its length is wrong.
    package static func hash(of presented: String) -> TokenHash? {
        presented.utf8.count == length ? hash(Array(presented.utf8)) : nil
    }

    private static let length = 43

    private static func hash(_ text: [UInt8]) -> TokenHash {
        let words = SHA256.hash(text).words
        return TokenHash(words.0, words.1, words.2, words.3)
    }
}
