// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Logging
import Synchronization

/// The nodes of sessions, for requests of operators.
extension SessionCluster {
    /// The place where a request about a session is executed.
    enum Place: Sendable, Hashable {
        case here
        case node(NodeRecord)
        /// The session isn't stored: it has ended, or never existed.
        case nowhere
    }

    /// The pause before the owner of a moving session is looked up again.
    static let placePause = Duration.milliseconds(40)
    /// Maximum number of event loops that take sessions of dead nodes.
    private static let maximumLoops = 1024

    /// How long a request of an operator waits for its session: less than the listener's time limit for a response.
    var operatorPatience: Duration { min(patience, .seconds(7)) }

    /// Returns the place of a session. A session whose owner is dead is claimed, and continues here without a client.
    ///
    /// - Throws: ``StoreError`` if the store doesn't respond, or the session doesn't arrive in time
    func place(of id: ULID) async throws -> Place {
        let deadline = ContinuousClock.now + operatorPatience
        repeat {
            if registry.loop(of: id) != nil { return .here }
            guard case .session(_, let owner, let epoch) = try await store.locate(id) else {
                return registry.loop(of: id) == nil ? .nowhere : .here
            }
            if owner != directory.record.id {
                if let node = directory.other(owner) { return .node(node) }
                if let node = try await directory.refresh()[owner] { return .node(node) }
            }
            if try await claimDetached(id, owner: owner, epoch: epoch) { return .here }
            try await Task.sleep(for: Self.placePause)
        } while ContinuousClock.now < deadline
        throw StoreError(path: "cluster", problem: "the session is moving between two nodes; retry later", isTemporary: true)
    }

    /// Claims a session without a client.
    ///
    /// - Returns: false if another node or client was faster
    private func claimDetached(_ id: ULID, owner: ULID, epoch: UInt64) async throws -> Bool {
        guard beginArrival(id) else { return false }
        defer { arrived(id) }
        switch try await store.claim(id, epoch: epoch) {
        case .claimed(let stored):
            logger.info("session claimed", metadata: ["session_id": "\(id)", "owner": "\(owner)"])
            counters.claimed.add(1, ordering: .relaxed)
            return await arrive(stored, handover: nil, stream: nil)
        case .owned(let owner, _) where owner == directory.record.id && registry.loop(of: id) == nil && isHandedOver(id):
            // Its client hasn't got it. Any other session of this node that isn't here is just ending.
            guard case .session(let stored, let handover, let stream) = try await load(id) else { return false }
            return await arrive(stored, handover: handover, stream: stream)
        case .owned, .gone: return false
        }
    }

    /// Restores a session on one of the event loops.
    private func arrive(_ stored: StoredSession, handover: [UInt8]?, stream: NodeStream?) async -> Bool {
        var loops = 0
        while loops < Self.maximumLoops, mailbox(loops) != nil { loops += 1 }
        guard loops > 0, let mailbox = mailbox(Int(stored.id.low % UInt64(loops))) else {
            stream?.close(.shutDown)
            return false
        }
        return await withCheckedContinuation { continuation in
            mailbox.arrive(stored, handover: handover, stream: stream) { continuation.resume(returning: $0) }
        }
    }
}

extension LocalSessionTable {
    /// Restores a session that arrives without a client.
    ///
    /// - Returns: whether the session could be read
    func arrive(_ stored: StoredSession, handover: [UInt8]?, stream: NodeStream?) -> Bool {
        guard restore(stored, handover: handover, over: stream), let driver = self[stored.id] else { return false }
        // Its new owner keeps the session in the index of the user.
        if let user = driver.session.user {
            loop.effects.batch?.setUser(user, of: stored.id)
            loop.scheduleCommit()
        }
        return true
    }
}
