// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// SHA-1 (FIPS 180-4), for the opening handshake of a WebSocket, where it has no security purpose.
package enum SHA1 {
    /// Returns the digest of 20 bytes.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 20)
        parley_sha1(bytes, bytes.count, &digest)
        return digest
    }
}
