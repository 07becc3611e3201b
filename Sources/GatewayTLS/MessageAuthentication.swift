// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Message authentication codes with HMAC-SHA256 (RFC 2104, FIPS 180-4).
package enum MessageAuthentication {
    /// The size of a code in bytes.
    package static let size = 32

    /// Returns the code of a message; nil when OpenSSL is out of memory.
    package static func code(of message: [UInt8], secret: [UInt8]) -> [UInt8]? { SignatureKey.mac(secret, .hs256, of: message[...]) }

    /// Returns whether a code is that of a message. Compares in constant time.
    package static func isValid(_ code: [UInt8], of message: [UInt8], secret: [UInt8]) -> Bool {
        SignatureKey.verifyMAC(secret, .hs256, signature: code, over: message[...])
    }
}
