// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// Incremental SHA-256 (FIPS 180-4).
package struct SHA256 {
    private var context = SHA256_CTX()

    package init() { parley_sha256_init(&context) }

    package mutating func update(bufferPointer bytes: UnsafeRawBufferPointer) {
        parley_sha256_update(&context, bytes.baseAddress, bytes.count)
    }

    package mutating func update(data bytes: [UInt8]) {
        bytes.withUnsafeBytes { update(bufferPointer: $0) }
    }

    /// Returns the digest. No further calls on this value are allowed.
    package mutating func finalize() -> SHA256Digest {
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        span.withUnsafeMutableBufferPointer { parley_sha256_final(&context, $0.baseAddress) }
        return SHA256Digest(
            words: (Self.word(bytes, 0), Self.word(bytes, 1), Self.word(bytes, 2), Self.word(bytes, 3)))
    }

    package static func hash(_ bytes: [UInt8]) -> SHA256Digest {
        var hash = SHA256()
        hash.update(data: bytes)
        return hash.finalize()
    }

    private static func word(_ bytes: borrowing InlineArray<32, UInt8>, _ index: Int) -> UInt64 {
        var word: UInt64 = 0
        for offset in 0..<8 { word |= UInt64(bytes[index * 8 + offset]) << UInt64(8 * offset) }
        return word
    }
}

/// A SHA-256 digest of 32 bytes.
package struct SHA256Digest: Sendable, Hashable {
    /// The bytes in order, the first in the lowest bits of the first word.
    package let words: (UInt64, UInt64, UInt64, UInt64)

    package static func == (left: SHA256Digest, right: SHA256Digest) -> Bool { left.words == right.words }

    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}
