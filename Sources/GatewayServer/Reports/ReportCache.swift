// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Synchronization

/// A cache of rendered reports of ended sessions; the least recently used are evicted.
package final class ReportCache: Sendable {
    package struct Key: Hashable, Sendable {
        package var id: ULID
        package var format: ReportFormat
        /// The value of `reports.content` when the report was rendered.
        package var depth: ReportDepth
        /// Whether the report contains the session's title and notes.
        package var hasAnnotation: Bool

        package init(id: ULID, format: ReportFormat, depth: ReportDepth, hasAnnotation: Bool = true) {
            self.id = id
            self.format = format
            self.depth = depth
            self.hasAnnotation = hasAnnotation
        }
    }

    /// The counters in `GET /v1/gateway`, since the start of the process; `size` and `bytes` are current values.
    package struct Statistics: Sendable, Hashable, Codable {
        package var hits: UInt64 = 0
        package var misses: UInt64 = 0
        /// Number of cached reports.
        package var size = 0
        package var bytes = 0

        package init() {}
    }

    private struct Entry {
        var content: [UInt8]
        var used: UInt64
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var statistics = Statistics()
        var clock: UInt64 = 0
        /// Increases with every removal of a session's reports.
        var generation: UInt64 = 0

        mutating func remove(_ key: Key) {
            guard let entry = entries.removeValue(forKey: key) else { return }
            statistics.bytes -= entry.content.count
            statistics.size = entries.count
        }

        mutating func removeOldest() {
            // A linear search is fast enough for a hundred entries.
            if let oldest = entries.min(by: { $0.value.used < $1.value.used }) { remove(oldest.key) }
        }
    }

    private let state = Mutex(State())
    private let maximumCount: Int
    private let maximumBytes: Int

    package init(maximumCount: Int = 100, maximumBytes: Int = 32 << 20) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    package var statistics: Statistics { state.withLock { $0.statistics } }

    /// The current generation. Read it before the report that is to be cached.
    package var generation: UInt64 { state.withLock { $0.generation } }

    /// Returns a cached report, and counts a hit or a miss.
    package func content(for key: Key) -> [UInt8]? {
        state.withLock { state in
            guard state.entries[key] != nil else {
                state.statistics.misses &+= 1
                return nil
            }
            state.statistics.hits &+= 1
            state.clock &+= 1
            state.entries[key]?.used = state.clock
            return state.entries[key]?.content
        }
    }

    /// Caches a rendered report, and evicts the least recently used ones if necessary. Does nothing if any session's reports were removed
    /// since ``generation`` was read, because this report may be among them.
    package func keep(_ content: [UInt8], for key: Key, since generation: UInt64) {
        guard content.count <= maximumBytes else { return }
        state.withLock { state in
            guard state.generation == generation else { return }
            state.remove(key)
            state.clock &+= 1
            state.entries[key] = Entry(content: content, used: state.clock)
            state.statistics.bytes += content.count
            state.statistics.size = state.entries.count
            while state.entries.count > maximumCount || state.statistics.bytes > maximumBytes { state.removeOldest() }
        }
    }

    /// Removes a session's reports, which have changed.
    package func purge(_ id: ULID) {
        state.withLock { state in
            state.generation &+= 1
            for key in state.entries.keys where key.id == id { state.remove(key) }
        }
    }
}
