// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayTLS

extension AuditDigest {
    /// Returns the SHA-256 of bytes, computed by OpenSSL.
    @Sendable package static func sha256(_ bytes: [UInt8]) -> AuditDigest {
        let words = SHA256.hash(bytes).words
        var digest: [UInt8] = []
        digest.reserveCapacity(32)
        for word in [words.0, words.1, words.2, words.3] {
            for offset in 0..<8 { digest.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * offset))) }
        }
        return AuditDigest(bytes: digest) ?? .zero
    }
}
