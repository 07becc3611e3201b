// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Checks whether the gateway can listen on an address, without listening.
enum AddressCheck {
    /// Returns the reason why the gateway can't listen on an address; nil if it can, or if the address is in use.
    static func failureReason(listeningOn endpoint: SocketEndpoint) -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(endpoint.host, "\(endpoint.port)", &hints, &list)
        guard code == 0, let first = list else { return String(cString: gai_strerror(code)) }
        defer { freeaddrinfo(list) }
        let descriptor = socket(first.pointee.ai_family, first.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return String(cString: strerror(errno)) }
        defer { _ = close(descriptor) }
        // With SO_REUSEADDR, a socket that is bound but not listening, such as this one, doesn't block the gateway's port.
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) != 0 else { return nil }
        // Most likely a running gateway is using the address.
        return errno == EADDRINUSE ? nil : String(cString: strerror(errno))
    }
}
