// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// The state that all loggers of the process share: the level, the format, and the writer.
final class LogSink: Sendable {
    let writer: LogWriter
    /// The newest lines, for operators.
    let tail = LogTail()
    private let format: LogFormat
    private let isColored: Bool
    private let severity: Atomic<Int>

    init(writer: LogWriter, format: LogFormat, isColored: Bool, level: Logger.Level) {
        self.writer = writer
        self.format = format
        self.isColored = isColored
        self.severity = Atomic(Self.severity(of: level))
    }

    /// The least severe level that is written. One relaxed load, because every log statement reads it.
    var level: Logger.Level {
        get { Self.level(of: severity.load(ordering: .relaxed)) }
        set { severity.store(Self.severity(of: newValue), ordering: .relaxed) }
    }

    func write(_ line: LogLine) {
        let bytes = Self.bytes(of: line, format: format, isColored: isColored)
        writer.write(bytes)
        tail.append(line, json: format == .json ? bytes : line.json())
    }

    static func bytes(of line: LogLine, format: LogFormat, isColored: Bool) -> [UInt8] {
        switch format {
        case .json: line.json()
        case .console: line.console(isColored: isColored)
        }
    }

    static func severity(of level: Logger.Level) -> Int {
        switch level {
        case .trace: 0
        case .debug: 1
        case .info: 2
        case .notice: 3
        case .warning: 4
        case .error: 5
        case .critical: 6
        }
    }

    private static func level(of severity: Int) -> Logger.Level {
        switch severity {
        case ..<1: .trace
        case 1: .debug
        case 2: .info
        case 3: .notice
        case 4: .warning
        case 5: .error
        default: .critical
        }
    }
}
