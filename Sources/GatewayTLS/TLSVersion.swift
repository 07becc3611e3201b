// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// The supported versions of TLS (RFC 5246, RFC 8446). Older versions are rejected with `protocol_version`.
package enum TLSVersion: String, Sendable, Hashable, CaseIterable, Comparable {
    case v1_2 = "1.2"
    case v1_3 = "1.3"

    /// The number on the wire (RFC 8446 §4.2.1).
    var wireValue: Int32 {
        switch self {
        case .v1_2: TLS1_2_VERSION
        case .v1_3: TLS1_3_VERSION
        }
    }

    init?(wireValue: Int32) {
        switch wireValue {
        case TLS1_2_VERSION: self = .v1_2
        case TLS1_3_VERSION: self = .v1_3
        default: return nil
        }
    }

    package static func < (left: TLSVersion, right: TLSVersion) -> Bool {
        left.wireValue < right.wireValue
    }
}
