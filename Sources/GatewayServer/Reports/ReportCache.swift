package import GatewayCore
import Synchronization

/// Reports of ended sessions as they were rendered last: the ones asked for most recently.
package final class ReportCache: Sendable {
    package struct Key: Hashable, Sendable {
        package var id: ULID
        package var format: ReportFormat
        /// `reports.content` when it was rendered.
        package var depth: ReportDepth

        package init(id: ULID, format: ReportFormat, depth: ReportDepth) {
            self.id = id
            self.format = format
            self.depth = depth
        }
    }

    /// Counters for `GET /v1/gateway`: they grow from the start of the process, but `size` and `bytes`.
    package struct Statistics: Sendable, Hashable, Codable {
        package var hits: UInt64 = 0
        package var misses: UInt64 = 0
        /// Rendered reports that are kept.
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
        /// Goes up whenever something is forgotten.
        var generation: UInt64 = 0

        mutating func remove(_ key: Key) {
            guard let entry = entries.removeValue(forKey: key) else { return }
            statistics.bytes -= entry.content.count
            statistics.size = entries.count
        }

        mutating func removeOldest() {
            // There are a hundred of them at most.
            if let oldest = entries.min(by: { $0.value.used < $1.value.used }) { remove(oldest.key) }
        }
    }

    private let state = Mutex(State())
    private let most: Int
    private let mostBytes: Int

    package init(most: Int = 100, mostBytes: Int = 32 << 20) {
        self.most = most
        self.mostBytes = mostBytes
    }

    package var statistics: Statistics { state.withLock { $0.statistics } }

    /// To be asked for before a report is read that is to be kept here.
    package var generation: UInt64 { state.withLock { $0.generation } }

    /// What was rendered before; counts whether there is something.
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

    /// Keeps what was rendered, in place of what was used least recently; not if something was forgotten since ``generation`` was asked
    /// for, because it may have been this.
    package func keep(_ content: [UInt8], for key: Key, since generation: UInt64) {
        guard content.count <= mostBytes else { return }
        state.withLock { state in
            guard state.generation == generation else { return }
            state.remove(key)
            state.clock &+= 1
            state.entries[key] = Entry(content: content, used: state.clock)
            state.statistics.bytes += content.count
            state.statistics.size = state.entries.count
            while state.entries.count > most || state.statistics.bytes > mostBytes { state.removeOldest() }
        }
    }

    /// A session's reports aren't what they were.
    package func forget(_ id: ULID) {
        state.withLock { state in
            state.generation &+= 1
            for key in state.entries.keys where key.id == id { state.remove(key) }
        }
    }
}
