// SPDX-License-Identifier: Apache-2.0

/// The beginning of an unusable line, for logs: truncated, with invisible characters escaped.
package struct LineExcerpt: Sendable, CustomStringConvertible {
    /// The maximum number of bytes shown.
    package static let length = 80
    /// The maximum number of bytes shown of a line that begins like a JSON object: short enough to keep the text of responses out of logs.
    package static let objectLength = 16

    package let description: String

    /// - Parameter bytes: arbitrary bytes, used up to the first line feed
    package init(_ bytes: RawSpan) {
        var end = 0
        while end < bytes.byteCount, bytes.byte(at: end) != 0x0A { end += 1 }
        var start = 0
        while start < end, bytes.byte(at: start) <= 0x20 { start += 1 }
        let length = start < end && bytes.byte(at: start) == UInt8(ascii: "{") ? Self.objectLength : Self.length
        var shown: [UInt8] = []
        shown.append(bytesOf: bytes.extracting(0..<min(end, length)))
        var text = "\""
        for scalar in String(decoding: shown, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case " "..."~": text.unicodeScalars.append(scalar)
            case _ where scalar.value > 0x9F && Self.isVisible(scalar): text.unicodeScalars.append(scalar)
            default: text += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            }
        }
        description = end > length ? text + "…\" (\(end) bytes)" : text + "\""
    }

    /// Returns whether a scalar is visible: not a control, format or separator character, which could move or hide others.
    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator: false
        default: true
        }
    }
}
