// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The datagram socket of a service manager that receives notifications (sd_notify(3)).
package final class NotifySocket: Sendable {
    private let descriptor: CInt
    private let address: SocketPath

    /// Opens a socket for `NOTIFY_SOCKET`. Returns nil if the variable is absent, or isn't the path or the abstract name (with `@` in front)
    /// of a Unix domain socket.
    package init?(environment: [String: String]) {
        guard let text = environment["NOTIFY_SOCKET"], let address = SocketPath(text) else { return nil }
        descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        self.address = address
    }

    deinit { close(descriptor) }

    /// Sends notifications as one datagram, without waiting: a service manager whose queue is full misses them.
    ///
    /// - Returns: whether the datagram was sent
    @discardableResult
    package func send(_ notifications: [String]) -> Bool {
        guard !notifications.isEmpty else { return true }
        let bytes = Array(notifications.joined(separator: "\n").utf8)
        return address.bytes.withUnsafeBytes { buffer in
            guard let pointer = buffer.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
            return sendto(descriptor, bytes, bytes.count, flags, pointer, socklen_t(buffer.count)) == bytes.count
        }
    }
}

/// The address of a Unix domain socket: a path, or an abstract name.
private struct SocketPath: Sendable {
    /// `sockaddr_un`, as bytes because the structure belongs to a different module for each way of linking.
    let bytes: [UInt8]

    /// Returns nil for a relative path, and for a text that doesn't fit into `sockaddr_un`.
    init?(_ text: String) {
        var name = Array(text.utf8)
        guard name.count > 1, name.count < 108, name[0] == UInt8(ascii: "/") || name[0] == UInt8(ascii: "@") else { return nil }
        // An abstract name begins with a null byte, and has no null byte at its end.
        if name[0] == UInt8(ascii: "@") { name[0] = 0 } else { name.append(0) }
        bytes = withUnsafeBytes(of: UInt16(AF_UNIX)) { Array($0) } + name
    }
}
