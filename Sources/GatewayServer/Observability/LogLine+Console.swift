// SPDX-License-Identifier: Apache-2.0

import Logging

extension LogLine {
    /// The line for a developer's terminal: `03:04:05.678 INFO  parley.connection: closed code=1000 reason="client said bye"`, in UTC.
    ///
    /// - Parameter isColored: whether ANSI sequences color the level and dim the rest; only for a terminal.
    package func console(isColored: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(160 + 24 * fields.count)
        if isColored { bytes.append(contentsOf: "\u{1B}[2m".utf8) }
        time.appendTime(to: &bytes)
        if isColored { bytes.append(contentsOf: "\u{1B}[0m\(color)".utf8) }
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: shortLevel.utf8)
        if isColored { bytes.append(contentsOf: "\u{1B}[0m".utf8) }
        bytes.append(UInt8(ascii: " "))
        SafeText.append(logger, to: &bytes, quoted: false)
        bytes.append(contentsOf: ": ".utf8)
        SafeText.append(message, to: &bytes, quoted: false)
        if isColored, !fields.isEmpty { bytes.append(contentsOf: "\u{1B}[2m".utf8) }
        for field in fields {
            guard bytes.count < Self.longest else {
                bytes.append(contentsOf: " …".utf8)
                break
            }
            bytes.append(UInt8(ascii: " "))
            SafeText.append(field.key, to: &bytes, quoted: false)
            bytes.append(UInt8(ascii: "="))
            Self.append(field.value, to: &bytes)
        }
        if isColored, !fields.isEmpty { bytes.append(contentsOf: "\u{1B}[0m".utf8) }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private static func append(_ value: Logger.MetadataValue, to bytes: inout [UInt8]) {
        let text =
            switch value {
            case .string(let text): text
            case .stringConvertible(let value): value.description
            case .array, .dictionary: value.description
            }
        guard !SafeText.isPlain(text) else {
            SafeText.append(text, to: &bytes)
            return
        }
        bytes.append(UInt8(ascii: "\""))
        SafeText.append(text, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Five columns, so that the following columns are aligned.
    private var shortLevel: String {
        switch level {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO "
        case .notice: "NOTE "
        case .warning: "WARN "
        case .error: "ERROR"
        case .critical: "FATAL"
        }
    }

    private var color: String {
        switch level {
        case .trace, .debug: "\u{1B}[36m"
        case .info, .notice: "\u{1B}[32m"
        case .warning: "\u{1B}[33m"
        case .error, .critical: "\u{1B}[1;31m"
        }
    }
}
