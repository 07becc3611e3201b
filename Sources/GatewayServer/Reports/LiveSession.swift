// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// A snapshot of a live session.
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
    /// Nil while the session is detached.
    package var link: Link?
    /// Unix milliseconds of the latest connection's opening.
    package var connectedAt: Int64
    /// Unix milliseconds; nil if the session doesn't expire.
    package var expiresAt: Int64?
    package var inFlight: Int
    /// The memory usage of the session.
    package var memoryBytes: Int
    /// Unacknowledged messages.
    package var outboxMessages: Int
    /// Bytes queued for the socket, or for a connection.
    package var waitingBytes: Int
    /// The bytes that wait for the client, in the outbox and in the queue of the socket.
    package var queueBytes: Int
    package var lastSequence: UInt64
    /// The position in the list that was asked for.
    package var rank: SessionRank
}

/// The live sessions. The gateway implements this protocol; tests can use other implementations.
package protocol SessionDirectory: Sendable {
    /// Returns the heads of the first sessions of a list, in its order.
    func sessions(_ query: SessionQuery) async -> [LiveSession]

    func session(_ id: ULID, depth: ReportDepth) async -> LiveSession?

    /// Ends a session and closes its connection with 4507. Returns false if there is no such session.
    func close(_ id: ULID) async -> Bool

    /// Ends a session without a report. Returns false if there is no such session.
    func erase(_ id: ULID) async -> Bool

    /// Returns when no data that was erased before remains in any file.
    ///
    /// - Throws: an error if the store can't write at the moment.
    func purge() async throws
}
