// SPDX-License-Identifier: Apache-2.0

/// The supervision of a session: who answers its client, the requests that wait for an operator, and the whispers for the upstream.
///
/// Kept in memory: after a restart of the gateway the upstream answers.
package struct Supervision: Sendable {
    /// The bounds of waiting whispers.
    package static let maximumWhispers = 16
    package static let maximumWhisperBytes = 100_000

    /// The operator who answers; nil: the upstream answers.
    private(set) var answeredBy: String?
    /// When the operator gave the last command.
    private(set) var lastCommandAt = Instant(nanoseconds: 0)
    /// The requests that were accepted during the takeover and aren't answered, oldest first.
    private(set) var held: [UpstreamRequest] = []
    private(set) var whispers: [[UInt8]] = []

    init() {}

    var isTakenOver: Bool { answeredBy != nil }
    /// Whether the value equals a new one, so that storing it is unnecessary.
    var isInitial: Bool { answeredBy == nil && held.isEmpty && whispers.isEmpty }
    var footprint: Int { whispers.reduce(128) { $0 + 32 + $1.count } }

    mutating func takeOver(by name: String, now: Instant) throws(SupervisionFault) {
        if let answeredBy, answeredBy != name { throw .takenOver(by: answeredBy) }
        answeredBy = name
        lastCommandAt = now
    }

    /// Checks that `name` may answer, and postpones the automatic handback.
    mutating func answer(by name: String, now: Instant) throws(SupervisionFault) {
        guard let answeredBy else { throw .notTakenOver }
        guard answeredBy == name else { throw .takenOver(by: answeredBy) }
        lastCommandAt = now
    }

    mutating func whisper(_ text: [UInt8], by name: String, now: Instant) throws(SupervisionFault) {
        guard whispers.count < Self.maximumWhispers,
            whispers.reduce(text.count, { $0 + $1.count }) <= Self.maximumWhisperBytes
        else { throw .whispersFull }
        whispers.append(text)
        if answeredBy == name { lastCommandAt = now }
    }

    /// Ends the takeover.
    ///
    /// - Returns: the requests that the operator didn't answer.
    mutating func handBack() throws(SupervisionFault) -> [UpstreamRequest] {
        guard answeredBy != nil else { throw .notTakenOver }
        answeredBy = nil
        defer { held = [] }
        return held
    }

    /// Whether the operator has been idle for `timeout` nanoseconds.
    func isIdle(at now: Instant, timeout: Int64) -> Bool {
        isTakenOver && timeout != .max && now.nanoseconds(since: lastCommandAt) >= timeout
    }

    mutating func hold(_ request: UpstreamRequest) { held.append(request) }

    func holds(_ key: RequestKey) -> Bool { held.contains { $0.key == key } }

    /// Removes a request that has ended.
    mutating func release(_ key: RequestKey) -> UpstreamRequest? {
        guard let index = held.firstIndex(where: { $0.key == key }) else { return nil }
        return held.remove(at: index)
    }

    /// Removes and returns the whispers, joined by line feeds, for a request; nil when there are none.
    mutating func takeWhispers() -> [UInt8]? {
        guard !whispers.isEmpty else { return nil }
        defer { whispers = [] }
        return Array(whispers.joined(separator: [0x0A]))
    }

    /// Converts times to another clock.
    mutating func move(by difference: Instant.Duration) { lastCommandAt += difference }
}
