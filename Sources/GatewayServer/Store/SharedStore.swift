// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// A store that several gateways share. Each session belongs to one node, its owner, and only the owner can write its records.
///
/// Ownership is fenced: the store keeps the owner's id and an epoch with the records of each session, and rejects commits of any other
/// node or epoch. The store object remembers the epochs of the sessions that its node owns.
package protocol SharedStore: SessionStore, SharedAccounts {
    /// The id of this process, as the owner of sessions.
    var node: ULID { get }

    /// Returns the session of a resume token.
    func locate(_ token: TokenHash) async throws(StoreError) -> SessionLocation

    /// Takes over a session whose owner is gone. If several nodes claim the same epoch, one succeeds.
    ///
    /// - Parameter epoch: the epoch that ``locate(_:)`` returned
    func claim(_ id: ULID, epoch: UInt64) async throws(StoreError) -> ClaimResult

    /// Makes another node the owner of a session, after all batches that were submitted before. The session is forgotten: later changes of
    /// it are dropped.
    ///
    /// - Returns: the new epoch; nil if this node isn't the owner any more
    func handOver(_ id: ULID, to node: ULID) async throws(StoreError) -> UInt64?

    /// Records that a session was handed over to this node, so that later commits carry its epoch.
    func adopt(_ id: ULID, epoch: UInt64)

    /// Returns the owner of a session; ``SessionLocation/unknown`` if it isn't stored.
    func locate(_ id: ULID) async throws(StoreError) -> SessionLocation

    /// Returns the stored sessions of a user with their owners.
    func sessions(ofUser user: String) async throws(StoreError) -> [SessionLocation.Owned]

    /// Begins a request with an idempotency key, which any node performs at most once in 24 h.
    ///
    /// - Parameters:
    ///   - key: the hash of the key
    ///   - digest: identifies the content of the request
    func beginRequest(_ key: [UInt8], digest: [UInt8]) async throws(StoreError) -> SharedRequest

    /// Keeps the answer to a request that this node has performed; nil forgets a request that had no effect.
    func endRequest(_ key: [UInt8], digest: [UInt8], answer: [UInt8]?) async throws(StoreError)

    /// Returns the records of a session of any owner; nil if it isn't stored.
    func loadSession(_ id: ULID) async throws(StoreError) -> StoredSession?

    /// Checks which sessions this node still owns, after it may have lost some. The handler of lost sessions is called before this returns.
    func verifyOwnership() async

    /// Sets the handler of sessions that this node loses. It is called on any thread, before the `committed` of a batch with changes of the
    /// session. To be called once, before anything is submitted.
    func setLossHandler(_ handler: @escaping @Sendable (ULID, SessionLoss) -> Void)

    /// Writes the lease of a node, which ends after `lease` unless it is written again.
    ///
    /// - Parameter replaces: whether a lease of the same name and another id is overwritten
    /// - Returns: false if another process has the node's name, so that this one must drop all its sessions
    func announce(_ node: NodeRecord, lease: Duration, replaces: Bool) async throws(StoreError) -> Bool

    /// Returns the nodes whose leases haven't ended.
    func nodes() async throws(StoreError) -> [NodeRecord]

    /// Ends the lease of a node.
    func withdraw(_ node: NodeRecord) async throws(StoreError)

    /// The events that a committed batch survives.
    var durability: StoreDurability { get }
}

/// The location of a session, by its resume token.
package enum SessionLocation: Sendable, Hashable {
    /// A session with its owner.
    package struct Owned: Sendable, Hashable {
        package var id: ULID
        package var owner: ULID
    }

    /// The token was never valid, or the store doesn't have its session any more.
    case unknown
    case ended
    case session(ULID, owner: ULID, epoch: UInt64)
}

/// The state of a request with an idempotency key.
package enum SharedRequest: Sendable, Hashable {
    /// The request is new. The caller performs it, then calls ``SharedStore/endRequest(_:digest:answer:)``.
    case begun
    /// A node is performing the request, or has died meanwhile.
    case pending(node: ULID)
    case answered([UInt8])
    /// The key belongs to another request.
    case conflict
}

package enum ClaimResult: Sendable {
    case claimed(StoredSession)
    /// The session has another epoch than expected, or belongs to this node already.
    case owned(by: ULID, epoch: UInt64)
    case gone
}

/// The reason why a node doesn't own a session any more.
package enum SessionLoss: Sendable, Hashable {
    /// Another node owns the session.
    case fenced
    /// The store lost the session or committed changes of it.
    case gone
}

/// `store.acknowledge`: the condition for a commit, beyond the reply of the server.
package enum StoreDurability: String, Sendable, CaseIterable {
    /// Nothing: the server has the changes in memory.
    case memory
    /// The server has synced the changes to its disk.
    case disk
    /// As many replicas as `store.replicas` have received the changes.
    case replicas
}

/// A node as other nodes see it.
package struct NodeRecord: Sendable, Hashable {
    /// `cluster.node`.
    package var name: String
    /// The id of the process.
    package var id: ULID
    /// The address of the node link, as in `cluster.advertise`.
    package var address: String
    /// The number of sessions.
    package var load: Int
    /// Unix milliseconds.
    package var started: Int64

    package init(name: String, id: ULID, address: String, load: Int = 0, started: Int64) {
        self.name = name
        self.id = id
        self.address = address
        self.load = load
        self.started = started
    }
}
