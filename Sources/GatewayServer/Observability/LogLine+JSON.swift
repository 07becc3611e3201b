// SPDX-License-Identifier: Apache-2.0

import Logging

extension LogLine {
    /// The line as one JSON object (RFC 8259) and a line feed: `ts`, `level`, `logger`, `msg`, then the fields.
    ///
    /// Integers, finite floating-point numbers and booleans keep their type if the metadata value is `.stringConvertible`; everything else
    /// is a string. A field with the name of one of the first four gets the suffix `_`, since names in an object are unique.
    package func json() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256 + 32 * fields.count)
        bytes.append(contentsOf: "{\"ts\":\"".utf8)
        time.appendDateAndTime(to: &bytes)
        bytes.append(contentsOf: "\",\"level\":\"".utf8)
        bytes.append(contentsOf: level.rawValue.utf8)
        bytes.append(contentsOf: "\",\"logger\":\"".utf8)
        SafeText.append(logger, to: &bytes)
        bytes.append(contentsOf: "\",\"msg\":\"".utf8)
        SafeText.append(message, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
        for field in fields {
            guard bytes.count < Self.longest else {
                bytes.append(contentsOf: ",\"truncated\":true".utf8)
                break
            }
            bytes.append(contentsOf: ",\"".utf8)
            SafeText.append(field.key, to: &bytes)
            switch field.key {
            case "ts", "level", "logger", "msg", "truncated": bytes.append(UInt8(ascii: "_"))
            default: break
            }
            bytes.append(contentsOf: "\":".utf8)
            Self.append(field.value, to: &bytes, depth: 0)
        }
        bytes.append(contentsOf: "}\n".utf8)
        return bytes
    }

    private static func append(_ value: Logger.MetadataValue, to bytes: inout [UInt8], depth: Int) {
        switch value {
        case .string(let text): append(text, to: &bytes)
        case .stringConvertible(let value):
            if let scalar = LogScalar(value) {
                bytes.append(contentsOf: scalar.text.utf8)
            } else {
                append(value.description, to: &bytes)
            }
        case .array where depth >= 4, .dictionary where depth >= 4: append("…", to: &bytes)
        case .array(let values):
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                guard bytes.count < longest else {
                    append("…", to: &bytes)
                    break
                }
                append(value, to: &bytes, depth: depth + 1)
            }
            bytes.append(UInt8(ascii: "]"))
        case .dictionary(let entries):
            bytes.append(UInt8(ascii: "{"))
            for (index, entry) in entries.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                guard bytes.count < longest else {
                    bytes.append(contentsOf: "\"…\":null".utf8)
                    break
                }
                append(entry.key, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                append(entry.value, to: &bytes, depth: depth + 1)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        SafeText.append(text, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }
}
