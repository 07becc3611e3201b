// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// The name in a client's certificate by which the client is known.
enum PeerName {
    /// The maximum length of a name in bytes, as that of a user in a token.
    static let maximumBytes = 128

    /// Returns the first URI name of a certificate, else its first DNS name, else its first e-mail name, else its common name.
    ///
    /// A name that isn't 1 to 128 characters of printable ASCII doesn't count: the next kind of name is used. A CA could otherwise be made to sign a
    /// name that reads as another one, for instance with a zero byte in it.
    static func of(_ certificate: OpaquePointer) -> String? {
        for kind in [GEN_URI, GEN_DNS, GEN_EMAIL] {
            var found: [UInt8]?
            withUnsafeMutablePointer(to: &found) { found in
                parley_visit_names(certificate, kind, found) { argument, bytes, count in
                    guard let argument, let bytes else { return }
                    let found = argument.assumingMemoryBound(to: [UInt8]?.self)
                    if found.pointee == nil { found.pointee = Array(UnsafeBufferPointer(start: bytes, count: Int(count))) }
                }
            }
            if let name = found.flatMap(text) { return name }
        }
        var found: [UInt8]?
        withUnsafeMutablePointer(to: &found) { found in
            parley_visit_common_name(certificate, found) { argument, bytes, count in
                guard let argument, let bytes else { return }
                argument.assumingMemoryBound(to: [UInt8]?.self).pointee = Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
            }
        }
        return found.flatMap(text)
    }

    private static func text(_ bytes: [UInt8]) -> String? {
        guard (1...maximumBytes).contains(bytes.count), bytes.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
