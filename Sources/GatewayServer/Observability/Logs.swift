// SPDX-License-Identifier: Apache-2.0

import Glibc
package import Logging

/// The log of the process: bootstrapped once at startup, flushed at the end.
package struct Logs: Sendable {
    private let sink: LogSink

    /// Directs the lines of every `Logger` of the process, including those of libraries, to standard output, which has no other output.
    ///
    /// Call it once, before the first `Logger` is created: swift-log doesn't allow a second bootstrap.
    ///
    /// - Parameters:
    ///   - format: only `console` uses colors, on a terminal that supports them (`NO_COLOR` unset, `TERM` not `dumb`).
    ///   - level: the least severe level that is written; ``setLevel(_:)`` changes it.
    package static func bootstrap(format: LogFormat, level: Logger.Level) -> Logs {
        let logs = Logs(format: format, level: level, fileDescriptor: STDOUT_FILENO, isColored: isColorful(STDOUT_FILENO))
        LoggingSystem.bootstrap { label in logs.handler(label: label) }
        return logs
    }

    /// Creates a log that is independent of the process's log, for tests and tools.
    ///
    /// - Parameters:
    ///   - fileDescriptor: the output; the caller closes it.
    ///   - maximumBytes: see ``LogWriter``; so is `maximumLines`.
    package init(
        format: LogFormat, level: Logger.Level, fileDescriptor: Int32, isColored: Bool = false, maximumBytes: Int = 1 << 20,
        maximumLines: Int = 8192
    ) {
        let writer = LogWriter(fileDescriptor: fileDescriptor, maximumBytes: maximumBytes, maximumLines: maximumLines) { count in
            let line = LogLine(
                time: .now(), level: .warning, logger: "parley.log", message: "log lines dropped",
                metadata: ["count": .stringConvertible(count)])
            return LogSink.bytes(of: line, format: format, isColored: isColored)
        }
        self.sink = LogSink(writer: writer, format: format, isColored: isColored, level: level)
    }

    /// Returns a handler, as the factory of `Logger(label:factory:)`.
    package func handler(label: String) -> GatewayLogHandler {
        GatewayLogHandler(label: label, sink: sink)
    }

    /// The least severe level that is written.
    package var level: Logger.Level { sink.level }

    /// Changes the level of every logger without a level of its own, immediately and from any thread.
    package func setLevel(_ level: Logger.Level) { sink.level = level }

    /// The newest lines, for operators.
    package var tail: LogTail { sink.tail }

    /// Lines lost since startup because standard output was too slow or closed.
    package var dropped: UInt64 { sink.writer.dropped }

    /// Lines written since startup.
    package var written: UInt64 { sink.writer.written }

    /// Blocks until all lines so far are written or lost, at most for `timeout`. Called last before the process exits.
    @discardableResult
    package func flush(within timeout: Duration) -> Bool { sink.writer.flush(within: timeout) }

    /// Closes the writer after it has written the queued lines; later lines are dropped and counted.
    @discardableResult
    package func close(within timeout: Duration) -> Bool { sink.writer.close(within: timeout) }

    private static func isColorful(_ fileDescriptor: Int32) -> Bool {
        guard isatty(fileDescriptor) == 1, getenv("NO_COLOR") == nil else { return false }
        guard let terminal = getenv("TERM") else { return false }
        return String(cString: terminal) != "dumb"
    }
}
