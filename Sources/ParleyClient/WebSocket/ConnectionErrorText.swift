// SPDX-License-Identifier: Apache-2.0

import GatewayTLS
import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The text of socket, TLS and name resolution errors.
package enum ConnectionErrorText {
    package static func text(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError: text(error)
        case ChannelError.connectTimeout: "connection timed out"
        case let error as TLSError: "\(error)"
        default: "\(error)"
        }
    }

    /// Returns one reason for each address that was tried.
    private static func text(_ error: NIOConnectionError) -> String {
        let attempts = error.connectionErrors.map { "\($0.target.ipAddress ?? error.host): \(text($0.error))" }
        guard attempts.isEmpty else { return attempts.joined(separator: "; ") }
        return "no address found for \(error.host)"
    }
}
