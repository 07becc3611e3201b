// SPDX-License-Identifier: Apache-2.0

/// The certificate of a listener, for operators.
package struct TLSCertificateSummary: Sendable, Hashable {
    /// The file of the certificate.
    package var path: String
    /// The DNS names of the subjectAltName in lower case.
    package var names: [String]
    /// Seconds since 1970.
    package var notBefore: Int64
    package var notAfter: Int64

    package init(path: String, names: [String], notBefore: Int64, notAfter: Int64) {
        self.path = path
        self.names = names
        self.notBefore = notBefore
        self.notAfter = notAfter
    }
}
