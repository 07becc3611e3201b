// SPDX-License-Identifier: Apache-2.0

package import Logging

/// One log line before formatting: time, level, logger, message and fields.
///
/// The formats are ``json()`` for programs and ``console(isColored:)`` for a developer's terminal. Both escape with ``SafeText``, always
/// produce exactly one line, and stop at ``longest`` bytes.
package struct LogLine {
    /// The size in bytes after which no further field is added. One value can exceed it by ``SafeText/maximumValueBytes`` bytes before escaping.
    package static let longest = 16 << 10

    package var time: WallTime
    package var level: Logger.Level
    package var logger: String
    package var message: String
    /// The fields in the order of output.
    package var fields: [(key: String, value: Logger.MetadataValue)]

    /// - Parameter metadata: written with the ids first (session, connection, correlation), then by name.
    package init(time: WallTime, level: Logger.Level, logger: String, message: String, metadata: Logger.Metadata = [:]) {
        self.time = time
        self.level = level
        self.logger = logger
        self.message = message
        self.fields = metadata.map { (key: $0.key, value: $0.value) }
        if fields.count > 1 {
            fields.sort { (Self.rank($0.key), $0.key) < (Self.rank($1.key), $1.key) }
        }
    }

    private static func rank(_ key: String) -> Int {
        switch key {
        case "session_id": 0
        case "connection_id": 1
        case "correlation_id": 2
        default: 3
        }
    }
}

/// A number or boolean that JSON can represent.
enum LogScalar {
    case integer(String)
    case number(Double)
    case boolean(Bool)

    /// Returns nil for every value that is written as text, including NaN and the infinities (RFC 8259 §6 has none).
    init?(_ value: any CustomStringConvertible & Sendable) {
        switch value {
        case let value as Int: self = .integer(String(value))
        case let value as Bool: self = .boolean(value)
        case let value as Double where value.isFinite: self = .number(value)
        case let value as UInt64: self = .integer(String(value))
        case let value as Int64: self = .integer(String(value))
        case let value as Float where value.isFinite: self = .number(Double(value))
        case let value as any FixedWidthInteger: self = .integer(value.description)
        default: return nil
        }
    }

    var text: String {
        switch self {
        case .integer(let digits): digits
        case .number(let value): value.description
        case .boolean(let value): value ? "true" : "false"
        }
    }
}
