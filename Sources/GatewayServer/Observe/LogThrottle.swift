package import GatewayCore

/// Keeps an attack from filling the log: so many lines of one kind in an interval, the rest counted.
///
/// A value for one event loop. The next line that may be written carries the number of those that weren't; ``collect(now:)`` tells the same
/// of kinds that have fallen silent. Counters of what happened are kept elsewhere and are never throttled.
///
/// `Kind` is a closed enum with raw values from 0; a raw value beyond the number of cases shares the last slot.
package struct LogThrottle<Kind: RawRepresentable<Int> & CaseIterable & Sendable>: Sendable {
    /// What to do with a line.
    package enum Verdict: Hashable, Sendable {
        /// Write it, with `suppressed` in its metadata unless it is 0.
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
    ///   - lines: of each kind in an interval, at least 1.
    ///   - interval: begins with the first line after the one before ended.
    package init(lines: Int = 10, per interval: Instant.Duration = .seconds(1)) {
        self.lines = max(1, lines)
        self.interval = max(.nanoseconds(1), interval)
        self.slots = Array(repeating: nil, count: max(1, Kind.allCases.count))
    }

    /// Counts one line of a kind.
    ///
    /// A clock that went back begins a new interval.
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

    /// The kinds whose interval has ended with lines suppressed that no later line has told of, each told once. For a timer.
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

/// What log lines are throttled by.
package enum LogTopic: Int, CaseIterable, Sendable {
    case clientError, refusal, handshake, address, upstream, memory
    /// The lines of the life of each WebSocket and session.
    case connectionClosed, sessionResumed, sessionDetached, sessionEnded
    /// The store fails, recovers, gives up reports because it is full, or can't empty its log.
    case storeFailing, storeRecovered, storeFull, storeCheckpoint
}
