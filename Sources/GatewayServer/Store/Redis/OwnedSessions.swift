// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore

/// A session that this node owns in the shared store.
struct OwnedSession: Sendable {
    /// The states of a session that determine whether changes are submitted.
    enum Phase: Sendable {
        case active
        /// Its end or hand-over was submitted: later changes are dropped.
        case ending
    }

    var epoch: UInt64
    /// The serial number of the last submitted commit in this epoch.
    var serial: UInt64 = 0
    /// The serial number of the last acknowledged commit.
    var confirmed: UInt64 = 0
    var phase = Phase.active
    /// The kinds of which the hash may have records.
    var kinds = RecordKinds()
    /// The valid tokens, whose time to live is extended with the session's.
    var newest: TokenHash?
    var presented: TokenHash?
    /// The user, in whose index the session is kept.
    var user: String?

    init(epoch: UInt64, tokens: [TokenHash] = []) {
        self.epoch = epoch
        self.tokens = tokens
    }

    var tokens: [TokenHash] {
        get { [newest, presented].compactMap(\.self) }
        set {
            newest = newValue.first
            presented = newValue.dropFirst().first
        }
    }
}

/// The sessions that this node owns, and the times of their next refreshes.
struct OwnedSessions {
    private var sessions: [ULID: OwnedSession] = [:]
    /// Sessions that were lost or handed over, until their last changes have surely been submitted. Without them, such a change would create
    /// the session again.
    private var dropped: [ULID: Int64] = [:]
    /// In the order of ``dropped``.
    private var droppedOrder: Deque<(id: ULID, time: Int64)> = []
    /// In the order of the times.
    private var refreshes: Deque<(id: ULID, epoch: UInt64, due: Int64)> = []
    /// The time between two refreshes of a session, in nanoseconds.
    let interval: Int64

    /// How long a dropped session is remembered, in nanoseconds.
    private static let memory: Int64 = 600_000_000_000
    private static let maximumDropped = 1_000_000

    init(interval: Int64) { self.interval = max(1, interval) }

    var count: Int { sessions.count }
    var ids: [ULID] { Array(sessions.keys) }

    subscript(id: ULID) -> OwnedSession? { sessions[id] }

    func isDropped(_ id: ULID) -> Bool { dropped[id] != nil }

    /// Adds a session. It is refreshed after the interval.
    mutating func insert(_ id: ULID, _ session: OwnedSession, now: Int64) {
        dropped[id] = nil
        if sessions.updateValue(session, forKey: id)?.epoch != session.epoch { refreshes.append((id, session.epoch, now + interval)) }
    }

    /// Changes a session if it is owned.
    @discardableResult
    mutating func update<Result>(_ id: ULID, _ body: (inout OwnedSession) -> Result) -> Result? {
        guard let index = sessions.index(forKey: id) else { return nil }
        return body(&sessions.values[index])
    }

    /// Removes a session that has ended.
    mutating func remove(_ id: ULID) { sessions[id] = nil }

    /// Removes a session that another node owns, or that the store lost. Its later changes are dropped.
    mutating func drop(_ id: ULID, now: Int64) {
        sessions[id] = nil
        dropped[id] = now
        droppedOrder.append((id, now))
        while let first = droppedOrder.first, now - first.time > Self.memory || droppedOrder.count > Self.maximumDropped {
            droppedOrder.removeFirst()
            if dropped[first.id] == first.time { dropped[first.id] = nil }
        }
    }

    /// Makes all sessions due.
    mutating func refreshAll(now: Int64) { for index in refreshes.indices { refreshes[index].due = now } }

    /// Returns sessions to be refreshed now. Those that are due are spread over several calls, so that a million doesn't come at once.
    ///
    /// - Parameter calls: the number of calls in one interval
    mutating func due(now: Int64, calls: Int, atLeast minimum: Int) -> [ULID] {
        let limit = max(minimum, 2 * refreshes.count / max(1, calls))
        var due: [ULID] = []
        while due.count < limit, let first = refreshes.first, first.due <= now {
            refreshes.removeFirst()
            // The session may have been handed over and come back since.
            guard let session = sessions[first.id], session.epoch == first.epoch else { continue }
            refreshes.append((first.id, first.epoch, now + interval))
            if session.phase == .active { due.append(first.id) }
        }
        return due
    }
}
