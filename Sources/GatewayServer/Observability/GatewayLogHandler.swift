// SPDX-License-Identifier: Apache-2.0

package import Logging

/// The handler that swift-log calls for every line, of the gateway and of the libraries: formats the line and passes it to the writer.
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

    /// The level set on this logger, or else the level of all loggers, which can change at any time.
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
            // The same names as in swift-log's own handlers, so that queries work for both.
            if all["error.message"] == nil { all["error.message"] = .string("\(error)") }
            if all["error.type"] == nil { all["error.type"] = .string(String(reflecting: type(of: error))) }
        }
        sink.write(LogLine(time: .now(), level: event.level, logger: label, message: event.message.description, metadata: all))
    }
}
