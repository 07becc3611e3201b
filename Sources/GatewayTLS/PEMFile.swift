// SPDX-License-Identifier: Apache-2.0

import COpenSSL

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Reads certificates and keys from PEM files (RFC 7468).
enum PEMFile {
    static let maxBytes = 1024 * 1024

    /// Reads the certificates of a file in order, at least one. The caller frees each with `X509_free`.
    static func certificates(at path: String) throws(TLSConfigurationError) -> [OpaquePointer] {
        let bytes = try read(path)
        var found: [OpaquePointer] = []
        withBIO(bytes) { bio in
            while let certificate = PEM_read_bio_X509(bio, nil, nil, nil) { found.append(certificate) }
        }
        ERR_clear_error()
        guard !found.isEmpty else { throw TLSConfigurationError(path: path, .notACertificate) }
        return found
    }

    /// Reads the private key of a file. The caller frees it with `EVP_PKEY_free`.
    static func key(at path: String) throws(TLSConfigurationError) -> OpaquePointer {
        try key(in: read(path), path: path)
    }

    /// Parses a private key. The caller frees it with `EVP_PKEY_free`.
    static func key(in text: consuming [UInt8], path: String?) throws(TLSConfigurationError) -> OpaquePointer {
        var bytes = text
        defer { bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        var isEncrypted = false
        var key: OpaquePointer?
        withBIO(bytes) { bio in
            // The callback records that OpenSSL requested a passphrase and returns none; without it OpenSSL would prompt on the terminal.
            key = PEM_read_bio_PrivateKey(
                bio, nil,
                { _, _, _, requested in
                    requested?.assumingMemoryBound(to: Bool.self).pointee = true
                    return -1
                }, &isEncrypted)
        }
        ERR_clear_error()
        guard let key else { throw TLSConfigurationError(path: path, isEncrypted ? .encryptedKey : .notAKey) }
        return key
    }

    /// Reads a whole file of at most ``maxBytes``. Fails with the system's reason.
    static func read(_ path: String) throws(TLSConfigurationError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw unreadable(path) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 16 * 1024)
        var count = 0
        while true {
            if count == bytes.count {
                guard count <= maxBytes else { throw TLSConfigurationError(path: path, .tooLarge) }
                bytes.append(contentsOf: repeatElement(0, count: count))
            }
            let result = bytes.withUnsafeMutableBytes { target in
                #if canImport(Glibc)
                Glibc.read(file, target.baseAddress.map { $0 + count }, target.count - count)
                #else
                Musl.read(file, target.baseAddress.map { $0 + count }, target.count - count)
                #endif
            }
            if result < 0 {
                if errno == EINTR { continue }
                throw unreadable(path)
            }
            if result == 0 { break }
            count += result
        }
        guard count <= maxBytes else { throw TLSConfigurationError(path: path, .tooLarge) }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    private static func unreadable(_ path: String) -> TLSConfigurationError {
        TLSConfigurationError(path: path, .unreadable(strerror(errno).map { String(cString: $0) } ?? "error \(errno)"))
    }

    /// Calls `body` with a BIO that reads `bytes`.
    static func withBIO(_ bytes: [UInt8], _ body: (OpaquePointer) -> Void) {
        bytes.withUnsafeBytes { bytes in
            // `maxBytes` fits in 32 bits.
            guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(truncatingIfNeeded: bytes.count)) else { return }
            body(bio)
            BIO_free(bio)
        }
    }
}
