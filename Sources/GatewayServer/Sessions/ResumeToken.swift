package import GatewayCore
import GatewayTLS

/// The secret by which a client comes back to its session: 256 random bits, written in base64url (RFC 4648 §5) without padding.
package struct ResumeToken: Sendable {
    /// As the client gets it.
    package let text: [UInt8]
    /// As the gateway keeps it.
    package var hash: TokenHash { Self.hash(text) }

    /// A new one.
    package init() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(Self.length)
        var bits = 0
        var held: UInt64 = 0
        for _ in 0..<32 {
            held = held << 8 | UInt64(UInt8.random(in: 0...255, using: &generator))
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(held >> UInt64(bits) & 63)])
            }
        }
        text.append(alphabet[Int(held << UInt64(6 - bits) & 63)])
        self.text = text
    }

    /// What a presented token is looked up by; nil when it can't be one of ours.
    package static func hash(of presented: String) -> TokenHash? {
        presented.utf8.count == length ? hash(Array(presented.utf8)) : nil
    }

    private static let length = 43

    private static func hash(_ text: [UInt8]) -> TokenHash {
        let words = SHA256.hash(text).words
        return TokenHash(words.0, words.1, words.2, words.3)
    }
}
