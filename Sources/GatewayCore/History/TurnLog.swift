// SPDX-License-Identifier: Apache-2.0

/// The last ``limit`` turns of a session that have ended. Turns in flight belong to the ``RequestTable``.
///
/// A full log takes about 11 KB, counted with the history, and a log without turns none. Therefore the limit isn't configurable. The log
/// isn't stored: after a restart of the gateway it begins empty.
package struct TurnLog: Sendable {
    private struct Entry: Sendable {
        var turn: Turn
        /// The start of the turn on the clock of the event loop.
        var started: Instant
        /// The sequence number of the last message of the response.
        var lastSequence: UInt64
    }

    package static let limit = 64

    /// The turns by serial number modulo ``limit``.
    private var entries: [Entry] = []
    private var total: UInt64 = 0
    /// Number of turns whose responses the client has acknowledged, or that were removed before.
    private var delivered: UInt64 = 0
    /// Number of failures of all turns.
    private var failureCount = 0

    package init() {}

    package var count: Int { entries.count }
    /// Number of turns that were removed.
    package var pruned: UInt64 { total &- UInt64(entries.count) }
    package var footprint: Int {
        entries.capacity * MemoryLayout<Entry>.stride + failureCount * MemoryLayout<Turn.Failure>.stride
    }

    /// The turns, oldest first.
    package var turns: [Turn] { (pruned..<total).map { entries[position($0)].turn } }

    private func position(_ serial: UInt64) -> Int { Int(serial % UInt64(Self.limit)) }

    /// Adds a turn, in place of the oldest one when the log is full.
    ///
    /// - Parameter sequence: the sequence number of the response's last message, not below that of the turn before
    package mutating func append(_ turn: consuming Turn, started: Instant, lastSequence sequence: UInt64) {
        failureCount += turn.failures.count
        if entries.count < Self.limit {
            entries.append(Entry(turn: turn, started: started, lastSequence: sequence))
        } else {
            let position = position(total)
            failureCount -= entries[position].turn.failures.count
            entries[position] = Entry(turn: turn, started: started, lastSequence: sequence)
        }
        total &+= 1
    }

    /// Marks the turns whose last message the client has acknowledged.
    package mutating func acknowledge(_ sequence: UInt64, now: Instant) {
        delivered = max(delivered, pruned)
        while delivered < total, entries[position(delivered)].lastSequence <= sequence {
            let index = position(delivered)
            entries[index].turn.offsets[.delivered] = Turn.offset(from: entries[index].started, to: now)
            delivered &+= 1
        }
    }

    /// Updates the playback progress of the newest turn with this id.
    package mutating func update(played milliseconds: Int64, of id: MessageID, now: Instant) {
        for serial in (pruned..<total).reversed() where entries[position(serial)].turn.id == id {
            let index = position(serial)
            entries[index].turn.update(played: milliseconds, offset: Turn.offset(from: entries[index].started, to: now))
            return
        }
    }

    package mutating func removeAll() {
        entries = []
        (total, delivered, failureCount) = (0, 0, 0)
    }

    /// Converts times to another clock.
    mutating func move(by difference: Instant.Duration) {
        for index in entries.indices { entries[index].started += difference }
    }
}
