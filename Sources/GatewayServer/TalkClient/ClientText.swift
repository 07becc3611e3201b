// SPDX-License-Identifier: Apache-2.0

package import ParleyClient

/// Formats values for the output of `parley talk`.
package enum ClientText {
    /// Formats a duration: `0.4 ms`, `12.3 ms`, `1.23 s`.
    package static func milliseconds(_ nanoseconds: Int64) -> String {
        let tenths = (max(0, nanoseconds) + 50_000) / 100_000
        if tenths < 10_000 { return "\(tenths / 10).\(tenths % 10) ms" }
        return seconds(milliseconds: (max(0, nanoseconds) + 500_000) / 1_000_000)
    }

    /// Formats a duration in seconds: `1.23 s`.
    package static func seconds(milliseconds: Int64) -> String {
        let hundredths = (max(0, milliseconds) + 5) / 10
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) s"
    }

    /// Formats an error: `rate_limited: 60 text messages a minute (reply to m61, correlation id 01K…, retry after 12.00 s)`.
    package static func error(_ failure: ServerMessage.Failure) -> String {
        var notes: [String] = []
        if let id = failure.replyTo { notes.append("reply to \(id)") }
        if let chunk = failure.chunk { notes.append("chunk \(chunk)") }
        if let param = failure.param { notes.append("at \(param)") }
        if let details = failure.details { notes.append(details) }
        if let id = failure.correlationID { notes.append("correlation id \(id)") }
        if let wait = failure.retryAfterMilliseconds {
            notes.append("retry after \(seconds(milliseconds: wait))")
        } else if failure.retryable == true {
            notes.append("retryable")
        }
        if failure.fatal == true { notes.append("fatal") }
        return safe("\(failure.code): \(failure.message)" + (notes.isEmpty ? "" : " (\(notes.joined(separator: ", ")))"))
    }

    /// Returns the text as one line, with control characters escaped so that none reaches the terminal.
    package static func safe(_ text: String) -> String {
        var bytes: [UInt8] = []
        SafeText.append(text, to: &bytes, quoted: false, limit: .max)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Returns the text of a response for a terminal: line feeds and tabs are kept, other control characters removed.
    package static func response(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { !isControl($0) || $0 == "\n" || $0 == "\t" }))
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: true
        default: false
        }
    }

    /// Returns a JSON message on one line. Line breaks occur in JSON only as white space between tokens (RFC 8259 §2, §7).
    package static func line(json: String) -> String {
        String(decoding: json.utf8.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }, as: UTF8.self)
    }
}
