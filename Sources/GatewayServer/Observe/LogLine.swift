package import Logging

/// One line of the log before it has a form: what happened, when, where, and the fields about it.
///
/// The forms are ``json()`` for programs and ``console(isColored:)`` for a developer's terminal. Both escape by ``SafeText``, both are one line
/// whatever the values hold, and both stop at ``longest`` bytes.
package struct LogLine {
    /// Bytes after which no further field begins. One value can go beyond by what ``SafeText/longestValue`` allows, escaped.
    package static let longest = 16 << 10

    package var time: WallTime
    package var level: Logger.Level
    package var logger: String
    package var message: String
    /// In the order in which they are written.
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

/// A number or a truth that JSON can write as itself.
enum LogScalar {
    case integer(String)
    case number(Double)
    case truth(Bool)

    /// Nil for anything that is to be written as text, NaN and the infinities included (RFC 8259 §6 has none).
    init?(_ value: any CustomStringConvertible & Sendable) {
        switch value {
        case let value as Int: self = .integer(String(value))
        case let value as Bool: self = .truth(value)
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
        case .truth(let value): value ? "true" : "false"
        }
    }
}
