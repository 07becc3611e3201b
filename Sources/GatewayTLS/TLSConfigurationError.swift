/// Everything that is wrong with the certificates and keys of a listener, found in one go.
package struct TLSConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Reason: Sendable, Hashable {
        /// The file can't be read; with the system's reason.
        case unreadable(String)
        /// The file, or its folder, can't be written; with the system's reason. Only the development certificate is.
        case unwritable(String)
        /// Over 1 MiB: certificates and keys are a few kilobytes.
        case tooLarge
        case notACertificate
        case notAKey
        /// A key with a passphrase: nobody is there to type it.
        case encryptedKey
        /// The key isn't the one that the certificate is about; `path` is the key's.
        case mismatch(certificate: String)
        /// OpenSSL refuses it by policy, say an RSA key of 1024 bits; with its reason.
        case refused(String)
        case noCertificates
        /// Clients must or may show a certificate, but no authority is given to check it against.
        case noClientAuthority
        /// OpenSSL can't do what we need at all; with its reason.
        case unsupported(String)
    }

    package struct Problem: Sendable, Hashable, CustomStringConvertible {
        /// The file at fault; `nil` where it isn't about a file.
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

    /// At least one.
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
    /// In words, without the path.
    package var text: String {
        switch self {
        case .unreadable(let reason): "can't be read: \(reason)"
        case .unwritable(let reason): "can't be written: \(reason)"
        case .tooLarge: "is over 1 MiB, which no certificate or key is"
        case .notACertificate: "holds no certificate in PEM form"
        case .notAKey: "holds no private key in PEM form"
        case .encryptedKey: "is encrypted; a server can't type a passphrase"
        case .mismatch(let certificate): "isn't the key of \(certificate)"
        case .refused(let reason): "is refused by OpenSSL: \(reason)"
        case .noCertificates: "at least one certificate is needed"
        case .noClientAuthority: "clients' certificates need an authority to be checked against"
        case .unsupported(let reason): "OpenSSL lacks something: \(reason)"
        }
    }
}
