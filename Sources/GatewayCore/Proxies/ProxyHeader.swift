// SPDX-License-Identifier: Apache-2.0

/// The header of the PROXY protocol, version 1 or 2, with which a proxy announces its client at the beginning of a connection.
///
/// Source: "The PROXY protocol, Versions 1 & 2", HAProxy Technologies.
package struct ProxyHeader: Sendable, Equatable {
    package enum Source: Sendable, Equatable {
        /// The proxy itself, such as for a health check (command LOCAL).
        case proxy
        /// A client without an IP address, or one that the proxy doesn't name (UNKNOWN, AF_UNSPEC, AF_UNIX).
        case unknown
        case client(NetworkAddress, port: UInt16)
    }

    package var source: Source
    /// The server name that the client requested of the proxy (PP2_TYPE_AUTHORITY): unverified text without control characters, at most
    /// ``maximumNameBytes`` bytes.
    package var authority: String?
    /// The common name of the certificate that the client presented to the proxy (PP2_SUBTYPE_SSL_CN), limited like ``authority``.
    package var certificateName: String?

    /// The maximum length of a name, in bytes; further bytes are ignored.
    package static let maximumNameBytes = 255

    package init(_ source: Source, authority: String? = nil, certificateName: String? = nil) {
        self.source = source
        self.authority = authority
        self.certificateName = certificateName
    }

    /// Converts the bytes of a name; nil for none. Invalid UTF-8 is replaced, and control characters are removed.
    static func name(_ bytes: [UInt8]) -> String? {
        let text = String(decoding: bytes, as: UTF8.self)
        let scalars = text.unicodeScalars.filter { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
        return scalars.isEmpty ? nil : String(String.UnicodeScalarView(scalars))
    }
}

/// The reason why a PROXY header is malformed.
package enum ProxyHeaderFault: String, Error, Sendable, CaseIterable {
    case lineTooLong = "the line of version 1 exceeds 107 bytes"
    case lineSyntax = "the line of version 1 is malformed"
    case address = "an address is malformed"
    case port = "a port is malformed"
    case version = "the version isn't 2"
    case command = "the command is neither LOCAL nor PROXY"
    case family = "the address family or transport protocol isn't supported"
    case length = "the addresses exceed the header's length"
    case extensionLength = "an extension (TLV) exceeds the header's length"
}
