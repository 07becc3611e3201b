// SPDX-License-Identifier: Apache-2.0

/// All problems with the certificates and keys of a listener.
package struct TLSConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Reason: Sendable, Hashable {
        /// The file can't be read, for the system's reason.
        case unreadable(String)
        /// The file or its directory can't be written, for the system's reason. Only development certificates are written.
        case unwritable(String)
        /// The file exceeds 1 MiB; certificates and keys are a few kilobytes.
        case tooLarge
        case notACertificate
        case notAKey
        /// The key is encrypted, and the gateway can't prompt for the passphrase.
        case encryptedKey
        /// The key doesn't match the certificate; the problem's `path` is the key's.
        case mismatch(certificate: String)
        /// OpenSSL rejects the file by policy, such as an RSA key of 1024 bits, for this reason.
        case rejected(String)
        case noCertificates
        /// Client certificates are required or optional, but no authority to verify them is configured.
        case noClientAuthority
        /// OpenSSL lacks a required feature, for this reason.
        case unsupported(String)
    }

    package struct Problem: Sendable, Hashable, CustomStringConvertible {
        /// The affected file; `nil` if the problem isn't about a file.
        package var path: String?
        package var reason: Reason

        package init(path: String?, reason: Reason) {
            self.path = path
            self.reason = reason
        }

        package var description: String {
            (path.map { $0 + ": " } ?? "") + reason.text
        }
    }

    /// The problems, at least one.
    package var problems: [Problem]

    package init(problems: [Problem]) {
        self.problems = problems
    }

    init(path: String?, _ reason: Reason) {
        self.problems = [Problem(path: path, reason: reason)]
    }

    package var description: String {
        problems.map(\.description).joined(separator: "; ")
    }
}

extension TLSConfigurationError.Reason {
    /// The reason as text, without the path.
    package var text: String {
        switch self {
        case .unreadable(let reason): "can't be read: \(reason)"
        case .unwritable(let reason): "can't be written: \(reason)"
        case .tooLarge: "is larger than 1 MiB, the limit for certificates and keys"
        case .notACertificate: "contains no PEM certificate"
        case .notAKey: "contains no PEM private key"
        case .encryptedKey: "is encrypted; provide a key without a passphrase"
        case .mismatch(let certificate): "doesn't match the certificate \(certificate)"
        case .rejected(let reason): "rejected by OpenSSL: \(reason)"
        case .noCertificates: "at least one certificate is required"
        case .noClientAuthority: "client certificates can't be verified without an authority"
        case .unsupported(let reason): "not supported by OpenSSL: \(reason)"
        }
    }
}
