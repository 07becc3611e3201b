/// What a record of a session is. The numbers are what stores write down: they never change their meaning.
package enum RecordKind: UInt8, Sendable, CaseIterable {
    /// Everything that fits into one small record; number 0.
    case state = 0
    /// A sequenced message that isn't acknowledged; its sequence number.
    case outbox = 1
    /// An accepted id; a serial number.
    case id = 2
    /// Something that was said; a serial number.
    case history = 3
    /// A request in flight; the number of its key.
    case request = 4
    /// An audio chunk of a request in flight; see ``RequestKey/chunks``.
    case chunk = 5
    /// Something that happened to the session; a serial number.
    case event = 6
}

/// Changes to the records of sessions, in order: what a store makes durable in one piece, or not at all.
///
/// A store knows records by session, kind and number, and doesn't look into them. What is in them is the session's matter.
package struct StoreBatch: Sendable {
    package enum Change: Sendable {
        /// The record's bytes are this range of ``bytes``.
        case put(ULID, RecordKind, UInt64, Range<Int>)
        case remove(ULID, RecordKind, Range<UInt64>)
        /// The session is over: nothing of it stays but ``endedTokens``.
        case end(ULID)
    }

    /// Stores keep no more tokens of sessions that are over than these, the newest.
    package static let mostEndedTokens = 100_000

    package private(set) var changes: [Change] = []
    /// Bytes of all records, end to end.
    package private(set) var bytes: [UInt8] = []
    /// Tokens of sessions that are over: who presents one is told so.
    package private(set) var endedTokens: [TokenHash] = []

    package init() {}

    package var isEmpty: Bool { changes.isEmpty }
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

    package mutating func end(_ session: ULID, tokens: [TokenHash]) {
        changes.append(.end(session))
        endedTokens += tokens
    }
}

/// What a store has of one session, each list in the order of its numbers.
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
    /// The numbers of this request's chunks: as many as a request can have, and no other's.
    package var chunks: Range<UInt64> { (number << 32)..<((number &+ 1) << 32) }
}
