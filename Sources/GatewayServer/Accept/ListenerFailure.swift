import Glibc
import NIOCore

/// A listener that couldn't be bound.
package struct ListenerFailure: Error, CustomStringConvertible {
    /// The key of its address: `listen.address` or `operations.address`.
    package let key: String
    package let address: SocketEndpoint
    /// In words.
    package let reason: String

    /// Runs what binds a listener; an error of the system becomes one that names the listener.
    static func naming<Value>(_ key: String, _ address: SocketEndpoint, _ body: () async throws -> Value) async throws -> Value {
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
        case EADDRINUSE: "the port is taken by another process"
        case EADDRNOTAVAIL: "the address isn't one of this machine"
        case EACCES: "this user may not listen on the port"
        default: String(cString: strerror(code))
        }
    }

    package var description: String { "\(key) \(address): \(reason)" }
}
