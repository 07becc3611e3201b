package import GatewayCore

/// A session that is going on, at one moment.
package struct LiveSession: Sendable {
    package struct Link: Sendable {
        package var id: ULID
        package var address: String
        package var bytesIn: UInt64
        package var bytesOut: UInt64
        /// Smoothed; nil before the first pong.
        package var roundTripNanoseconds: Int64?
    }

    package var report: SessionReport
    /// Nil while it has no connection.
    package var link: Link?
    /// Unix milliseconds: when its newest connection was opened.
    package var connectedAt: Int64
    /// Unix milliseconds; nil for a session without an end.
    package var expiresAt: Int64?
    package var inFlight: Int
    /// Its ledger.
    package var memoryBytes: Int
    /// Messages that aren't acknowledged.
    package var outboxMessages: Int
    /// Bytes that wait for the socket, or for a connection.
    package var waitingBytes: Int
    package var lastSequence: UInt64
}

/// The sessions that are going on. The gateway has them; tests may have others.
package protocol SessionDirectory: Sendable {
    /// The first sessions behind `cursor`, in the order of their ids, which is that of their beginnings. Their heads only.
    ///
    /// - Parameter attached: only those with a connection, or only those without
    func sessions(after cursor: ULID?, limit: Int, attached: Bool?) async -> [LiveSession]

    func session(_ id: ULID, depth: ReportDepth) async -> LiveSession?

    /// Ends a session: its connection is closed with 4507. False when there is none.
    func close(_ id: ULID) async -> Bool

    /// Ends a session, without a report. False when there is none.
    func erase(_ id: ULID) async -> Bool

    /// Returns when nothing of what was erased before is left behind in any file.
    ///
    /// - Throws: when nothing can be stored at the moment.
    func forget() async throws
}
