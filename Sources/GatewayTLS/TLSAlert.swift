// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A sent or received alert (RFC 8446 §6).
package struct TLSAlert: Sendable, Hashable, CustomStringConvertible {
    package enum Direction: String, Sendable, Hashable {
        /// Sent by the peer.
        case received
        /// Sent to the peer.
        case sent
    }

    package var direction: Direction
    /// The `AlertDescription`, such as 40 for handshake_failure or 120 for no_application_protocol.
    package var code: UInt8
    package var isFatal: Bool

    package init(direction: Direction, code: UInt8, isFatal: Bool) {
        self.direction = direction
        self.code = code
        self.isFatal = isFatal
    }

    /// The code of close_notify, which announces an orderly close and isn't a failure.
    static let closeNotify: UInt8 = 0

    /// OpenSSL's name of the alert, such as `handshake failure`.
    package var name: String {
        guard let name = SSL_alert_desc_string_long(Int32(code)) else { return "unknown" }
        return String(cString: name)
    }

    package var description: String { "\(direction.rawValue) alert \(code) (\(name))" }
}
