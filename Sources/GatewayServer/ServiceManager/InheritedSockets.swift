// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Glibc
import NIOCore

/// The listening sockets of a service manager, checked. Each can be taken by one listener, which then owns the descriptor.
///
/// A listener on such a socket never shuts it down: it closes its own descriptor, and clients wait in the backlog for the next process.
package struct InheritedSockets: Sendable {
    /// A socket that can't be used.
    package struct Fault: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    /// One listening socket.
    package struct Socket: Sendable, Hashable {
        package let descriptor: Int32
        package let address: SocketEndpoint
    }

    private let sockets: [ActivatedSockets.Purpose: Socket]

    /// No sockets: the listeners bind their addresses.
    package static let none = InheritedSockets(sockets: [:])

    private init(sockets: [ActivatedSockets.Purpose: Socket]) {
        self.sockets = sockets
    }

    /// Checks the sockets that the environment announces, and marks them as not inherited by child processes.
    package init(environment: [String: String]) throws(Fault) {
        let activated: ActivatedSockets
        do throws(ActivatedSockets.Fault) {
            activated = try ActivatedSockets(environment: environment, process: getpid())
        } catch {
            throw Fault(description: "\(error)")
        }
        var sockets: [ActivatedSockets.Purpose: Socket] = [:]
        for (purpose, descriptor) in activated.descriptors {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            guard let address = Self.listeningAddress(of: descriptor) else {
                throw Fault(
                    description:
                        "the socket that was passed for \(purpose.rawValue) (descriptor \(descriptor)) isn't a listening TCP socket")
            }
            sockets[purpose] = Socket(descriptor: descriptor, address: address)
        }
        self.sockets = sockets
    }

    /// Throws if a socket was passed for a purpose that isn't used: its clients would wait for ever.
    package func reject(_ purpose: ActivatedSockets.Purpose, because reason: String) throws(Fault) {
        guard let socket = sockets[purpose] else { return }
        throw Fault(description: "a socket was passed for \(purpose.rawValue) (\(socket.address)), but \(reason)")
    }

    package subscript(purpose: ActivatedSockets.Purpose) -> Socket? { sockets[purpose] }

    /// Returns the local address of a listening IPv4 or IPv6 stream socket; nil for anything else.
    private static func listeningAddress(of descriptor: Int32) -> SocketEndpoint? {
        guard option(SO_TYPE, of: descriptor) == CInt(SOCK_STREAM.rawValue), option(SO_ACCEPTCONN, of: descriptor) == 1 else { return nil }
        // Read as bytes, because the address structures belong to a different module for each way of linking.
        var bytes = [UInt8](repeating: 0, count: 128)
        var length = socklen_t(bytes.count)
        let isKnown = bytes.withUnsafeMutableBytes { buffer in
            guard let address = buffer.baseAddress else { return false }
            return getsockname(descriptor, address.assumingMemoryBound(to: sockaddr.self), &length) == 0
        }
        guard isKnown, let domain = option(SO_DOMAIN, of: descriptor) else { return nil }
        // sockaddr_in: family, port, address; sockaddr_in6: family, port, flow, address.
        let part: Range<Int>
        switch domain {
        case AF_INET: part = 4..<8
        case AF_INET6: part = 8..<24
        default: return nil
        }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(domain, Array(bytes[part]), &text, socklen_t(text.count)) != nil else { return nil }
        let host = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return SocketEndpoint(host: host, port: Int(bytes[2]) << 8 | Int(bytes[3]))
    }

    private static func option(_ name: CInt, of descriptor: Int32) -> CInt? {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
    }
}

extension InheritedSockets.Socket {
    /// The queue of connections that wait to be accepted, also while no process accepts. The kernel limits it (`net.core.somaxconn`).
    private static let backlog: CInt = 4096

    /// Sets the length of the queue: NIO reduces that of a socket it takes over to 128.
    func restoreBacklog() { _ = listen(descriptor, Self.backlog) }
}
