package import Logging

/// What swift-log calls for every line of ours and of the libraries: gives it its form and hands it to the writer.
package struct GatewayLogHandler: LogHandler {
    private let label: String
    private let sink: LogSink
    private var ownLevel: Logger.Level?

    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    init(label: String, sink: LogSink) {
        self.label = label
        self.sink = sink
    }

    /// The level of all loggers, which can change at any time, unless this logger was given one of its own.
    package var logLevel: Logger.Level {
        get { ownLevel ?? sink.level }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        if let metadataProvider { all.merge(metadataProvider.get()) { _, provided in provided } }
        if let own = event.metadata {
            if all.isEmpty { all = own } else { all.merge(own) { _, own in own } }
        }
        if let error = event.error {
            // The same two names as swift-log's own handlers use, so that queries carry over.
            if all["error.message"] == nil { all["error.message"] = .string("\(error)") }
            if all["error.type"] == nil { all["error.type"] = .string(String(reflecting: type(of: error))) }
        }
        sink.write(LogLine(time: .now(), level: event.level, logger: label, message: event.message.description, metadata: all))
    }
}
