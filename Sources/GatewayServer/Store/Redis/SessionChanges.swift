// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayRedis

/// The changes of one session in a batch.
struct SessionChanges {
    /// Changes that one call of ``StoreScripts/commit`` applies: first the removals, then the puts.
    struct Commit {
        var removals: [(kind: RecordKind, numbers: Range<UInt64>)] = []
        /// Records with the ranges of their bytes in the batch.
        var puts: [(kind: RecordKind, number: UInt64, bytes: Range<Int>)] = []

        var isEmpty: Bool { removals.isEmpty && puts.isEmpty }

        /// Records the put of a record. Returns false if an earlier removal includes the record, so that another commit is necessary.
        fileprivate mutating func put(_ kind: RecordKind, _ number: UInt64, _ bytes: Range<Int>) -> Bool {
            guard !removals.contains(where: { $0.kind == kind && $0.numbers.contains(number) }) else { return false }
            puts.append((kind, number, bytes))
            return true
        }

        fileprivate mutating func remove(_ kind: RecordKind, _ numbers: Range<UInt64>) {
            puts.removeAll { $0.kind == kind && numbers.contains($0.number) }
            removals.append((kind, numbers))
        }
    }

    let id: ULID
    private(set) var commits = [Commit()]
    /// The valid tokens, if they have changed.
    private(set) var tokens: [TokenHash]?
    /// The user, if the session was registered for one.
    private(set) var user: String?
    /// Whether the session ended. Its other changes are irrelevant then.
    private(set) var isEnded = false

    private init(id: ULID) { self.id = id }

    /// Returns the changes of a batch by session, in the order of the first change.
    static func all(of batch: StoreBatch) -> [SessionChanges] {
        var sessions: [SessionChanges] = []
        var indices: [ULID: Int] = [:]
        func index(of id: ULID) -> Int {
            // The changes of a session usually follow one another.
            if let last = sessions.indices.last, sessions[last].id == id { return last }
            if let known = indices[id] { return known }
            indices[id] = sessions.count
            sessions.append(SessionChanges(id: id))
            return sessions.count - 1
        }
        for change in batch.changes {
            switch change {
            case .put(let id, let kind, let number, let bytes): sessions[index(of: id)].put(kind, number, bytes)
            case .remove(let id, let kind, let numbers):
                let index = index(of: id)
                sessions[index].commits[sessions[index].commits.count - 1].remove(kind, numbers)
            case .end(let id): sessions[index(of: id)].isEnded = true
            case .tokens(let id, let tokens): sessions[index(of: id)].tokens = tokens
            case .user(let id, let user): sessions[index(of: id)].user = user
            }
        }
        return sessions
    }

    private mutating func put(_ kind: RecordKind, _ number: UInt64, _ bytes: Range<Int>) {
        guard !commits[commits.count - 1].put(kind, number, bytes) else { return }
        var commit = Commit()
        _ = commit.put(kind, number, bytes)
        commits.append(commit)
    }
}

/// The name of a record in the hash of its session: the kind and the number, big-endian.
enum RecordField {
    static func name(_ kind: RecordKind, _ number: UInt64) -> [UInt8] {
        var name: [UInt8] = []
        name.reserveCapacity(9)
        name.append(kind.rawValue)
        append(number, to: &name)
        return name
    }

    /// Returns the range of a wide removal, as the script expects it.
    static func range(_ kind: RecordKind, _ numbers: Range<UInt64>) -> [UInt8] {
        var range = name(kind, numbers.lowerBound)
        append(numbers.upperBound, to: &range)
        return range
    }

    /// Parses a name; returns nil for other fields of the hash.
    static func parse(_ name: [UInt8]) -> (kind: RecordKind, number: UInt64)? {
        guard name.count == 9, let kind = RecordKind(rawValue: name[0]) else { return nil }
        return (kind, name.dropFirst().reduce(0) { $0 << 8 | UInt64($1) })
    }

    private static func append(_ number: UInt64, to name: inout [UInt8]) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) { name.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }
}

extension RedisCommand {
    /// Removals of more records than this search the fields of the hash.
    static let maximumRemovedFields: UInt64 = 1024

    /// Creates the call of ``StoreScripts/commit``.
    ///
    /// - Parameters:
    ///   - bytes: the bytes of the batch
    ///   - lifetime: the time to live in ms; 0 to leave it unchanged
    ///   - wideKinds: the kinds of which the hash may have records that a wide removal must search
    init(
        _ commit: SessionChanges.Commit, bytes: [UInt8], key: [UInt8], owner: String, epoch: UInt64, serial: UInt64, lifetime: Int64,
        tokens: [TokenHash]?, wideKinds: RecordKinds
    ) {
        self.init(evaluating: StoreScripts.commit, key: key)
        var ranges: [[UInt8]] = []
        var fields: [[UInt8]] = []
        for (kind, numbers) in commit.removals {
            if numbers.upperBound - numbers.lowerBound > Self.maximumRemovedFields {
                if wideKinds.contains(kind) { ranges.append(RecordField.range(kind, numbers)) }
            } else {
                for number in numbers { fields.append(RecordField.name(kind, number)) }
            }
        }
        append(owner)
        append(epoch)
        append(serial)
        append(lifetime)
        if let tokens { append(TokenHash.field(tokens)) } else { append("-" as StaticString) }
        append(ranges.count)
        append(fields.count)
        for range in ranges { append(range) }
        for field in fields { append(field) }
        for put in commit.puts {
            append(RecordField.name(put.kind, put.number))
            append(bytes[put.bytes])
        }
    }
}

/// A set of record kinds.
struct RecordKinds: Sendable, Hashable {
    private var bits: UInt16 = 0

    func contains(_ kind: RecordKind) -> Bool { bits & 1 << UInt16(kind.rawValue) != 0 }
    mutating func insert(_ kind: RecordKind) { bits |= 1 << UInt16(kind.rawValue) }
}

extension TokenHash {
    /// The value of the field `t`: the hashes, 32 bytes each.
    static func field(_ tokens: [TokenHash]) -> [UInt8] {
        var field: [UInt8] = []
        field.reserveCapacity(tokens.count * 32)
        for token in tokens {
            for word in token.values {
                for shift in stride(from: UInt64(56), through: 0, by: -8) { field.append(UInt8(truncatingIfNeeded: word >> shift)) }
            }
        }
        return field
    }

    static func parse(field: [UInt8]) -> [TokenHash] {
        guard field.count <= 64, field.count.isMultiple(of: 32) else { return [] }
        return stride(from: 0, to: field.count, by: 32).map { start in
            let words = (0..<4).map { word in
                field[start + word * 8..<start + word * 8 + 8].reduce(0) { $0 << 8 | UInt64($1) }
            }
            return TokenHash(words[0], words[1], words[2], words[3])
        }
    }
}
