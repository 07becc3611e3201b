// SPDX-License-Identifier: Apache-2.0

/// The kind of a session's record. The raw values are part of the stored format and never change their meaning.
package enum RecordKind: UInt8, Sendable, CaseIterable {
    /// The session's state, as one small record; number 0.
    case state = 0
    /// An unacknowledged sequenced message; numbered by its sequence number.
    case outbox = 1
    /// An accepted id; numbered serially.
    case id = 2
    /// A history entry; numbered serially.
    case history = 3
    /// A request in flight; numbered by its key.
    case request = 4
    /// An audio chunk of a request in flight; see ``RequestKey/chunks``.
    case chunk = 5
    /// A timeline event; numbered serially.
    case event = 6
    /// An unacknowledged push; numbered by the key of its messages.
    case push = 7
}

/// Changes to the records of sessions, in order. A store commits all of them or none.
///
/// A store identifies records by session, kind and number, and doesn't interpret their contents.
package struct StoreBatch: Sendable {
    package enum Change: Sendable {
        /// Writes a record, whose bytes are this range of ``bytes``.
        case put(ULID, RecordKind, UInt64, Range<Int>)
        case remove(ULID, RecordKind, Range<UInt64>)
        /// Removes all records of a session that has ended. Only its tokens remain, as ``endedTokens``.
        case end(ULID)
        /// The valid tokens of a session, at most two, after a change. Only a shared store needs them, to find the session of a token.
        case tokens(ULID, [TokenHash])
        /// The user of a session. Only a shared store needs it, to find the sessions of a user on all nodes.
        case user(ULID, String)
    }

    /// The maximum number of ``endedTokens`` that a store keeps; the newest remain.
    package static let maxEndedTokens = 100_000

    package private(set) var changes: [Change] = []
    /// Bytes of all records, concatenated.
    package private(set) var bytes: [UInt8] = []
    /// Tokens of ended sessions: a resume with such a token fails as ``ResumeError/expired``.
    package private(set) var endedTokens: [TokenHash] = []
    /// The ended sessions that have tokens, with their ranges of ``endedTokens``.
    package private(set) var endedSessions: [(session: ULID, tokens: Range<Int>)] = []
    /// Amounts to add to rows for usage reports. The order doesn't matter.
    package private(set) var usage: [UsageRow: UsageAmounts] = [:]
    package private(set) var accountChanges: [AccountChange] = []

    package init() {}

    package var isEmpty: Bool { changes.isEmpty && usage.isEmpty && accountChanges.isEmpty }

    /// The approximate size of the batch in bytes.
    package var footprint: Int { bytes.count + usage.count * 128 + accountChanges.count * 128 }

    package var endsSessions: Bool { changes.contains { if case .end = $0 { true } else { false } } }

    mutating func put(_ session: ULID, _ kind: RecordKind, _ number: UInt64, _ write: (inout [UInt8]) -> Void) {
        let start = bytes.count
        write(&bytes)
        changes.append(.put(session, kind, number, start..<bytes.count))
    }

    mutating func remove(_ session: ULID, _ kind: RecordKind, _ numbers: Range<UInt64>) {
        guard !numbers.isEmpty else { return }
        changes.append(.remove(session, kind, numbers))
    }

    /// Adds amounts to a row for usage reports.
    package mutating func add(_ amounts: UsageAmounts, to row: UsageRow) { usage[row, default: .zero] += amounts }

    package mutating func add(_ change: AccountChange) { accountChanges.append(change) }

    package mutating func end(_ session: ULID, tokens: [TokenHash]) {
        changes.append(.end(session))
        guard !tokens.isEmpty else { return }
        endedSessions.append((session, endedTokens.count..<endedTokens.count + tokens.count))
        endedTokens += tokens
    }

    package mutating func setUser(_ user: String, of session: ULID) { changes.append(.user(session, user)) }

    package mutating func setTokens(_ tokens: [TokenHash], of session: ULID) { changes.append(.tokens(session, tokens)) }
}

/// The stored records of one session, each list in the order of its numbers.
package struct StoredSession: Sendable {
    package struct Record: Sendable {
        package var number: UInt64
        package var bytes: [UInt8]

        package init(number: UInt64, bytes: [UInt8]) {
            self.number = number
            self.bytes = bytes
        }
    }

    package let id: ULID
    package var records: [RecordKind: [Record]] = [:]

    package init(id: ULID) { self.id = id }
}

extension RequestKey {
    /// The record numbers of this request's chunks: 2³² numbers, distinct from those of other requests.
    package var chunks: Range<UInt64> { (number << 32)..<((number &+ 1) << 32) }
}
