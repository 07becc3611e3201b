// SPDX-License-Identifier: Apache-2.0

/// The idempotency keys of the last 24 hours and the answers to their requests: a repeated request gets the answer of the first.
///
/// The table is bounded by the number of keys and the size of the answers. A new key that doesn't fit is rejected: forgetting an old one
/// would let its request be performed twice.
package struct IdempotencyTable<Answer: Sendable, Digest: Hashable & Sendable>: Sendable {
    package enum Verdict: Sendable {
        /// The request is new. The caller performs it, and calls ``complete(_:_:bytes:)`` or ``abandon(_:)``.
        case perform
        /// The request is being performed.
        case wait
        case repeated(Answer)
        /// The key belongs to another request.
        case conflict
        /// The table is full.
        case full
    }

    private struct Entry: Sendable {
        let digest: Digest
        let at: Int64
        var answer: Answer?
        var bytes = 0
    }

    /// How long a key is remembered, in milliseconds: 24 h.
    package static var retention: Int64 { 86_400_000 }
    /// The size of an entry without its answer; approximate.
    package static var entryBytes: Int { 256 }

    private var entries: [String: Entry] = [:]
    /// The keys in the order in which they were added.
    private var order: [(key: String, at: Int64)] = []
    private var first = 0
    private let maximumCount: Int
    private let maximumBytes: Int
    package private(set) var bytes = 0

    package init(maximumCount: Int = 100_000, maximumBytes: Int = 64 << 20) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    package var count: Int { entries.count }

    /// Whether a request with this key is being performed.
    package func isPending(_ key: String) -> Bool { entries[key].map { $0.answer == nil } ?? false }

    /// Begins a request.
    ///
    /// - Parameters:
    ///   - digest: identifies the content of the request
    ///   - wall: Unix milliseconds
    package mutating func begin(_ key: String, digest: Digest, wall: Int64) -> Verdict {
        removeExpired(wall: wall)
        if let entry = entries[key] {
            guard entry.digest == digest else { return .conflict }
            return entry.answer.map { .repeated($0) } ?? .wait
        }
        guard entries.count < maximumCount, bytes < maximumBytes else { return .full }
        entries[key] = Entry(digest: digest, at: wall)
        order.append((key, wall))
        bytes += Self.entryBytes
        return .perform
    }

    /// Remembers the answer to a request.
    ///
    /// - Parameter size: the size of the answer in bytes
    package mutating func complete(_ key: String, _ answer: Answer, bytes size: Int) {
        guard let entry = entries[key], entry.answer == nil else { return }
        entries[key]?.answer = answer
        entries[key]?.bytes = size
        bytes += size
    }

    /// Forgets a request that failed without effects.
    package mutating func abandon(_ key: String) {
        guard let entry = entries[key], entry.answer == nil else { return }
        remove(key)
    }

    private mutating func remove(_ key: String) {
        guard let entry = entries.removeValue(forKey: key) else { return }
        bytes -= Self.entryBytes + entry.bytes
    }

    private mutating func removeExpired(wall: Int64) {
        while first < order.count, wall - order[first].at >= Self.retention {
            let (key, at) = order[first]
            // An abandoned key may have been used again. A request that is still performed keeps its key.
            if let entry = entries[key], entry.at == at, entry.answer != nil { remove(key) }
            first += 1
        }
        guard first > 0, first * 2 >= order.count else { return }
        order.removeFirst(first)
        first = 0
    }
}
