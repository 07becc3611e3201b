// SPDX-License-Identifier: Apache-2.0

package import Logging
import Synchronization

/// Records log lines of every level. Copies record into the same list.
package struct LogRecorder: LogHandler {
    private final class Lines: Sendable {
        let list = Mutex<[(level: Logger.Level, text: String)]>([])
    }

    private let recorded = Lines()
    package var metadata: Logger.Metadata = [:]
    package var logLevel = Logger.Level.trace

    package init() {}

    /// The messages so far, each followed by its metadata, sorted by key: `JWK set loaded keys=1`.
    package var lines: [String] { recorded.list.withLock { $0.map(\.text) } }

    /// The same with the level in front: `notice JWK set loaded keys=1`.
    package var linesWithLevel: [String] { recorded.list.withLock { $0.map { "\($0.level) \($0.text)" } } }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        recorded.list.withLock { $0.append((event.level, ([event.message.description] + fields).joined(separator: " "))) }
    }
}
