// SPDX-License-Identifier: Apache-2.0

/// The `Sec-WebSocket-Key` of a request and the `Sec-WebSocket-Accept` of its response (RFC 6455 §4.2.2). In this module for its
/// SHA-1.
package enum AcceptKey {
    /// Returns the value of `Sec-WebSocket-Accept`: the base64-encoded SHA-1 of the key and a fixed GUID. It proves only that the server
    /// implements WebSocket.
    package static func accept(for key: String) -> String {
        base64(SHA1.hash(Array(key.utf8) + Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)))
    }

    /// Whether `key` is 16 bytes in base64: 22 characters and two of padding. The four unused bits may have any value.
    package static func isValid(_ key: Substring) -> Bool {
        let bytes = key.utf8
        return bytes.count == 24 && bytes.suffix(2).allSatisfy { $0 == 0x3D } && bytes.dropLast(2).allSatisfy(isBase64)
    }

    private static func isBase64(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2F: true
        default: false
        }
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for position in 0..<4 {
                let index = Int(bits >> UInt32(18 - 6 * position)) & 63
                text.append(position <= group.count ? alphabet[index] : 0x3D)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
