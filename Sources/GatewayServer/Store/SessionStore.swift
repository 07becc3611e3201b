// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// Durable storage for the records of sessions.
///
/// With `store.kind: memory` there is no store: sessions exist only in the memory of their event loops, and nothing waits for commits.
package protocol SessionStore: Sendable {
    /// Loads all stored sessions. To be called once, before anything is submitted.
    func load() throws -> [StoredSession]

    /// Loads the tokens of ended sessions, the oldest first. To be called once, like ``load()``.
    func loadEndedTokens() throws -> [TokenHash]

    /// Loads the records about users and their tokens. To be called once, like ``load()``.
    ///
    /// - Parameter wall: Unix milliseconds, for the current day and month
    func loadAccounts(wall: Int64) throws -> AccountRecords

    /// Submits a batch, to be committed after all earlier ones. Doesn't block; may be called from any thread.
    ///
    /// - Parameters:
    ///   - committed: called on any thread once the batch is durable; that can take long, because failed commits are retried
    ///   - failed: called on any thread, at most once and before `committed`, when a commit with the batch fails
    func submit(_ batch: StoreBatch, committed: @escaping @Sendable () -> Void, failed: @escaping @Sendable () -> Void)

    /// Whether new work should be submitted: false while commits fail or too many bytes wait to be committed.
    var acceptsWork: Bool { get }

    /// The metrics of the store; nil if it has none.
    var metrics: StoreMetrics? { get }

    /// Returns free space to the file system. Doesn't block.
    func sweep()

    /// Waits until all submitted batches are durable, and removes deleted content from the log.
    ///
    /// - Throws: when commits fail
    func purge() async throws

    /// Waits for submitted batches and closes the file.
    func close() async
}

extension SessionStore {
    package var metrics: StoreMetrics? { nil }

    package func submit(_ batch: StoreBatch, committed: @escaping @Sendable () -> Void) {
        submit(batch, committed: committed, failed: {})
    }
}
