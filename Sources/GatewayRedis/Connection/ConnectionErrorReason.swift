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

/// Reasons of lost and failed connections, for failures and states.
enum ConnectionErrorReason {
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as TLSError: return "\(error)"
        case let error as RedisParserFault: return "\(error)"
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError:
            // A name with several addresses has one error for each.
            guard let first = error.connectionErrors.first?.error else { return "the name \(error.host) has no address" }
            return reason(first)
        case ChannelError.connectTimeout: return "no connection within the time limit"
        default: return "\(error)"
        }
    }
}
