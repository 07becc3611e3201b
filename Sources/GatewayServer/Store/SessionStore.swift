package import GatewayCore

/// Where the records of sessions are kept, so that they outlive the process.
///
/// There is none for `store.kind: memory`: then sessions are in the memory of their event loops, and nothing waits for anything.
package protocol SessionStore: Sendable {
    /// Everything that is kept. Called once, before anything is submitted.
    func load() throws -> [StoredSession]

    /// Tokens of sessions that are over, the oldest first. Called once, as ``load()``.
    func loadEndedTokens() throws -> [TokenHash]

    /// Makes a batch durable, behind everything that was submitted before it. Doesn't block, and may be called by any thread.
    ///
    /// - Parameters:
    ///   - committed: called by some thread once the batch is durable, however long that takes: a commit that fails is tried again.
    ///   - failed: called by some thread, once and before `committed`, when a commit with the batch fails
    func submit(_ batch: StoreBatch, committed: @escaping @Sendable () -> Void, failed: @escaping @Sendable () -> Void)

    /// Whether more should be submitted: not while commits fail, or when too much waits for them.
    var takesWork: Bool { get }

    /// Gives space that is free back. Doesn't block.
    func sweep()

    /// Returns when what was submitted before, removals above all, is durable, and nothing of what was removed is left behind elsewhere.
    ///
    /// - Throws: when nothing can be stored at the moment.
    func forget() async throws

    /// Waits for what was submitted, and lets go of the file.
    func close() async
}

extension SessionStore {
    package func submit(_ batch: StoreBatch, committed: @escaping @Sendable () -> Void) {
        submit(batch, committed: committed, failed: {})
    }
}
