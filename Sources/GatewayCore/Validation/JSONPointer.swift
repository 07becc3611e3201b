// SPDX-License-Identifier: Apache-2.0

/// JSON Pointers (RFC 6901) to fields of a client's message, for `param`.
enum JSONPointer {
    /// The longest key that is included in an error, in bytes.
    static let maximumKeyLength = 128

    /// Returns a pointer to the member `key` of `parent`, or to `parent` when the key is longer than ``maximumKeyLength`` or contains
    /// characters that sanitizing removes. Errors and logs thus contain client input only bounded and sanitized. Nil for the root.
    static func string(to key: TextSlice, in parent: StaticString, of bytes: RawSpan) -> String? {
        var pointer: [UInt8] = []
        pointer.append(parent)
        var name: [UInt8] = []
        if key.rawCount <= maximumKeyLength * 6 { key.append(sanitized: false, to: &name, from: bytes) }
        if key.rawCount <= maximumKeyLength * 6, name.count <= maximumKeyLength, name.count == key.count {
            pointer.append(UInt8(ascii: "/"))
            for byte in name {
                switch byte {
                case UInt8(ascii: "~"): pointer.append("~0")
                case UInt8(ascii: "/"): pointer.append("~1")
                default: pointer.append(byte)
                }
            }
        }
        return pointer.isEmpty ? nil : String(decoding: pointer, as: UTF8.self)
    }

    static func string(to field: FieldName, in parent: StaticString) -> String {
        "\(parent)/\(field.name)"
    }
}
