// SPDX-License-Identifier: Apache-2.0

/// The bytes of PROXY protocol headers, as a proxy sends them.
package enum ProxyHeaderBytes {
    /// Returns a header of version 1 for an IPv4 client.
    package static func line(_ client: String, port: Int = 4711) -> [UInt8] {
        Array("PROXY TCP4 \(client) 192.0.2.254 \(port) 443\r\n".utf8)
    }

    /// Returns a header of version 2 for an IPv4 client, followed by extensions (TLVs).
    package static func binary(_ client: String, port: Int = 4711, extensions: [(type: UInt8, value: [UInt8])] = []) -> [UInt8] {
        let address = client.split(separator: ".").compactMap { UInt8($0) }
        let ports = [port, 443].flatMap { [UInt8($0 >> 8 & 0xFF), UInt8($0 & 0xFF)] }
        return header(0x21, 0x11, address + [192, 0, 2, 254] + ports + extensions.flatMap { tlv($0.type, $0.value) })
    }

    /// Returns a header of version 2 with the command LOCAL.
    package static let local = header(0x20, 0x00, [])

    package static func header(_ command: UInt8, _ family: UInt8, _ content: [UInt8]) -> [UInt8] {
        [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, command, family] + length(content) + content
    }

    package static func tlv(_ type: UInt8, _ value: [UInt8]) -> [UInt8] { [type] + length(value) + value }

    private static func length(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count >> 8 & 0xFF), UInt8(bytes.count & 0xFF)] }
}
