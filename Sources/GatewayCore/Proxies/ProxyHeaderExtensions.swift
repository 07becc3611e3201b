// SPDX-License-Identifier: Apache-2.0

/// An incremental parser of the extensions (type, length, value) after the addresses of a version 2 ``ProxyHeader``.
///
/// Keeps only the two names that are logged; values of all other types are skipped.
struct ProxyHeaderExtensions: Sendable {
    /// The types that are read.
    private enum Kind {
        static let authority: UInt8 = 0x02
        /// PP2_TYPE_SSL: five bytes, then further extensions.
        static let ssl: UInt8 = 0x20
        /// PP2_SUBTYPE_SSL_CN, inside of ``ssl``.
        static let certificateName: UInt8 = 0x22
    }

    private enum State {
        case head
        case value(type: UInt8, count: Int)
        /// The client flags and the verification result of PP2_TYPE_SSL.
        case ssl(count: Int)
    }

    /// The bytes until the end of the header.
    private var remaining: Int
    /// The bytes until the end of PP2_TYPE_SSL; nil outside.
    private var remainingInSSL: Int?
    private var state = State.head
    private var head: [UInt8] = []
    private(set) var authority: [UInt8] = []
    private(set) var certificateName: [UInt8] = []

    /// The bytes before the extensions in PP2_TYPE_SSL.
    private static let sslBytes = 5

    init(count: Int) { remaining = count }

    var isComplete: Bool { remaining == 0 }

    /// Parses one of the bytes that the header's length announces.
    mutating func consume(_ byte: UInt8) throws(ProxyHeaderFault) {
        remaining -= 1
        if let count = remainingInSSL { remainingInSSL = count - 1 }
        switch state {
        case .head:
            head.append(byte)
            if head.count == 3 { try begin() }
        case .value(let type, let count):
            keep(byte, type: type)
            state = count == 1 ? .head : .value(type: type, count: count - 1)
        case .ssl(let count):
            state = count == 1 ? .head : .ssl(count: count - 1)
        }
        guard remainingInSSL == 0 || remaining == 0 else { return }
        guard case .head = state, head.isEmpty else { throw .extensionLength }
        remainingInSSL = nil
    }

    /// Begins the value after a complete type and length.
    private mutating func begin() throws(ProxyHeaderFault) {
        let (type, length) = (head[0], Int(head[1]) << 8 | Int(head[2]))
        head = []
        guard length <= remainingInSSL ?? remaining else { throw .extensionLength }
        if type == Kind.ssl, remainingInSSL == nil {
            guard length >= Self.sslBytes else { throw .extensionLength }
            remainingInSSL = length
            state = .ssl(count: Self.sslBytes)
        } else if length > 0 {
            state = .value(type: type, count: length)
        }
    }

    private mutating func keep(_ byte: UInt8, type: UInt8) {
        switch (type, remainingInSSL) {
        case (Kind.authority, nil) where authority.count < ProxyHeader.maximumNameBytes: authority.append(byte)
        case (Kind.certificateName, _?) where certificateName.count < ProxyHeader.maximumNameBytes: certificateName.append(byte)
        default: break
        }
    }
}
