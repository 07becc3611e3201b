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

/// What errors of sockets and names say to a person at a terminal.
package enum ClientFailure {
    package static func text(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError: text(error)
        case ChannelError.connectTimeout: "no answer in time"
        case let error as TLSError: "\(error)"
        default: "\(error)"
        }
    }

    /// One reason for each address that was tried, or why there is none.
    private static func text(_ error: NIOConnectionError) -> String {
        let attempts = error.connectionErrors.map { "\($0.target.ipAddress ?? error.host): \(text($0.error))" }
        guard attempts.isEmpty else { return attempts.joined(separator: "; ") }
        return "no address is known for \(error.host)"
    }
}
