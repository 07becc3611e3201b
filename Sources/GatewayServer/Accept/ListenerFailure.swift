// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore

/// A listener that couldn't be bound.
package struct ListenerFailure: Error, CustomStringConvertible {
    /// The configuration key of the address: `listen.address` or `operations.address`.
    package let key: String
    package let address: SocketEndpoint
    /// The reason as text, such as "address already in use".
    package let reason: String

    /// Performs `body`, which binds a listener, and converts system errors into a ``ListenerFailure``.
    static func convertingErrors<Value>(_ key: String, _ address: SocketEndpoint, _ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as IOError {
            throw ListenerFailure(key: key, address: address, reason: reason(error.errnoCode))
        } catch is SocketAddressError {
            throw ListenerFailure(key: key, address: address, reason: "the host name can't be resolved")
        }
    }

    private static func reason(_ code: CInt) -> String {
        switch code {
        case EADDRINUSE: "another process is listening on this port"
        case EADDRNOTAVAIL: "no network interface of this machine has this address"
        case EACCES: "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE"
        default: String(cString: strerror(code))
        }
    }

    package var description: String { "\(key) \(address): \(reason)" }
}
