// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// A rate limit of log lines, so that an attack can't fill the log: a number of lines of one kind per interval is written, the rest is
/// counted.
///
/// Each event loop has its own throttle. The next line that is written contains the number of suppressed lines; ``collect(now:)`` returns
/// that number for kinds without a further line. Counters of events are separate and never throttled.
///
/// `Kind` is a closed enum with raw values from 0; a raw value beyond the number of cases shares the last slot.
package struct LogThrottle<Kind: RawRepresentable<Int> & CaseIterable & Sendable>: Sendable {
    /// The decision on a line.
    package enum Verdict: Hashable, Sendable {
        /// Write the line, with `suppressed` in its metadata unless it is 0.
        case write(suppressed: UInt64)
        case suppress
    }

    private struct Slot {
        var start: Instant
        var lines = 0
        var suppressed: UInt64 = 0
    }

    private let lines: Int
    private let interval: Instant.Duration
    private var slots: [Slot?]

    /// - Parameters:
    ///   - lines: lines of each kind per interval, at least 1.
    ///   - interval: begins with the first line after the end of the previous interval.
    package init(lines: Int = 10, per interval: Instant.Duration = .seconds(1)) {
        self.lines = max(1, lines)
        self.interval = max(.nanoseconds(1), interval)
        self.slots = Array(repeating: nil, count: max(1, Kind.allCases.count))
    }

    /// Counts one line of a kind.
    ///
    /// If the clock went back, a new interval begins.
    package mutating func admit(_ kind: Kind, now: Instant) -> Verdict {
        let index = min(max(0, kind.rawValue), slots.count - 1)
        guard var slot = slots[index], !hasEnded(slot, now: now) else {
            let suppressed = slots[index]?.suppressed ?? 0
            slots[index] = Slot(start: now, lines: 1)
            return .write(suppressed: suppressed)
        }
        defer { slots[index] = slot }
        guard slot.lines < lines else {
            slot.suppressed &+= 1
            return .suppress
        }
        slot.lines += 1
        return .write(suppressed: 0)
    }

    /// Returns the kinds whose interval has ended with suppressed lines that no later line has reported, each once. Called by a timer.
    package mutating func collect(now: Instant) -> [(kind: Kind, suppressed: UInt64)] {
        var all: [(kind: Kind, suppressed: UInt64)] = []
        for kind in Kind.allCases {
            let index = min(max(0, kind.rawValue), slots.count - 1)
            guard let slot = slots[index], slot.suppressed > 0, hasEnded(slot, now: now) else { continue }
            all.append((kind, slot.suppressed))
            slots[index] = nil
        }
        return all
    }

    private func hasEnded(_ slot: Slot, now: Instant) -> Bool {
        now < slot.start || now - slot.start >= interval
    }
}

/// The topics by which log lines are throttled.
package enum LogTopic: Int, CaseIterable, Sendable {
    case clientError, rejection, handshake, address, upstream, memory
    /// Proxies: a missing or malformed PROXY header, and peers of `listen.plain` that aren't trusted.
    case proxy
    /// The lines about the lifecycle of each WebSocket and session.
    case connectionClosed, sessionResumed, sessionDetached, sessionEnded, sessionLost
    /// The store fails, recovers, deletes reports because it is full, or can't checkpoint its log.
    case storeFailing, storeRecovered, storeFull, storeCheckpoint
    /// The shared store: sessions that other nodes own, that the store lost, and keys that another program wrote.
    case storeFenced, storeLost, storeForeign
}
