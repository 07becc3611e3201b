// SPDX-License-Identifier: Apache-2.0

package import GatewayTLS

/// A certificate of a listener, for operators.
package struct CertificateView: Sendable, Hashable, Codable {
    /// The configuration key of the listener's certificates.
    package var key: String
    /// The DNS names in lower case.
    package var names: [String]
    /// Unix milliseconds.
    package var notBefore: Int64
    package var notAfter: Int64
    /// Whole days until the certificate expires; negative if it has expired.
    package var daysLeft: Int
    package var file: String

    /// - Parameter now: Unix milliseconds
    package init(_ certificate: TLSCertificateSummary, key: String, now: Int64) {
        self.key = key
        names = certificate.names
        notBefore = certificate.notBefore * 1000
        notAfter = certificate.notAfter * 1000
        let seconds = certificate.notAfter - now / 1000
        daysLeft = Int(seconds >= 0 ? seconds / 86_400 : -((-seconds + 86_399) / 86_400))
        file = certificate.path
    }

    enum CodingKeys: String, CodingKey {
        case key, names, file
        case notBefore = "not_before"
        case notAfter = "not_after"
        case daysLeft = "days_left"
    }
}
