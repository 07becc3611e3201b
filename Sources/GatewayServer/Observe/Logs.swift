import Glibc
package import Logging

/// The log of the process: set up once at start, asked for its counters, and flushed at the end.
package struct Logs: Sendable {
    private let sink: LogSink

    /// Sends the lines of every `Logger` of the process, the libraries' too, to standard output, and nothing else goes there.
    ///
    /// To be called once, before the first `Logger` is made: swift-log allows no second time.
    ///
    /// - Parameters:
    ///   - format: colors are used by `console` only, on a terminal that wants them (`NO_COLOR` unset, `TERM` not `dumb`).
    ///   - level: the least severe that is written; changes with ``setLevel(_:)``.
    package static func bootstrap(format: LogFormat, level: Logger.Level) -> Logs {
        let logs = Logs(format: format, level: level, fileDescriptor: STDOUT_FILENO, isColored: isColorful(STDOUT_FILENO))
        LoggingSystem.bootstrap { label in logs.handler(label: label) }
        return logs
    }

    /// A log of its own, beside the process's: for tests and tools.
    ///
    /// - Parameters:
    ///   - fileDescriptor: where lines go; it stays the caller's to close.
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

    /// What `Logger(label:factory:)` takes.
    package func handler(label: String) -> GatewayLogHandler {
        GatewayLogHandler(label: label, sink: sink)
    }

    /// The least severe level that is written now.
    package var level: Logger.Level { sink.level }

    /// Changes the level of every logger that wasn't given one of its own, at once and from any thread.
    package func setLevel(_ level: Logger.Level) { sink.level = level }

    /// Lines lost since the start, because standard output was too slow or gone.
    package var dropped: UInt64 { sink.writer.dropped }

    /// Lines written since the start.
    package var written: UInt64 { sink.writer.written }

    /// Blocks until all lines so far are written or lost, at most for `timeout`; the last thing before the process exits.
    @discardableResult
    package func flush(within timeout: Duration) -> Bool { sink.writer.flush(within: timeout) }

    /// Ends the writer after what is queued; later lines are dropped and counted.
    @discardableResult
    package func close(within timeout: Duration) -> Bool { sink.writer.close(within: timeout) }

    private static func isColorful(_ fileDescriptor: Int32) -> Bool {
        guard isatty(fileDescriptor) == 1, getenv("NO_COLOR") == nil else { return false }
        guard let terminal = getenv("TERM") else { return false }
        return String(cString: terminal) != "dumb"
    }
}
