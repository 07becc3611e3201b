// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Synchronization

/// The state that all event loops share. Used on accept, upgrade, close and tick, but not per message, except for
/// `limits.global_per_second`.
package final class SharedGateway: Sendable {
    package let connectionLimits: ConnectionLimits
    package let sessions: SessionRegistry
    /// The rate limiter of `limits.global_per_second`.
    package let global = SharedLimiter()
    /// The rate limiters of clients, which outlive their sessions.
    package let limiters = ClientLimiterTable()
    /// The accounts of users, which outlive their sessions.
    package let usage: UsageTable
    let memoryReclaim = MemoryReclaimRun()
    /// The pushes that weren't delivered.
    package let undelivered = UndeliveredPushes()
    package let access: AccessControl
    package let health: HealthRegistry
    package let descriptors = DescriptorLimit()
    package let upstream: any UpstreamProvider
    /// Nil when sessions aren't stored.
    package let store: (any SessionStore)?
    package let archive: any ReportArchive
    /// Nil when the audit log is off.
    package let audit: AuditLog?
    /// Nil when tracing is off.
    package let tracer: Tracer?
    /// The mailboxes of the event loops, indexed by loop number (see ``SessionRegistry``).
    private let mailboxes = Mutex<[any SessionMailbox]>([])
    /// The memory usage of all sessions in bytes, updated by each loop in steps of ``EventLoopState/memoryStep``.
    private let memory = Atomic<Int>(0)
    /// The number of sessions on other nodes that have upstream calls on this one.
    let callsOfOthers = Atomic<Int>(0)
    private let joined = Mutex<SessionCluster?>(nil)
    /// When the lease of this node ends, in nanoseconds of the monotonic clock. `Int64.max` outside of a cluster.
    package let lease = NodeLease()
    private let peakMemory = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)
    private let rejecting = Atomic<Bool>(false)

    package init(
        connectionLimits: ConnectionLimits, sessions: SessionRegistry, health: HealthRegistry, upstream: any UpstreamProvider,
        access: AccessControl = .open, store: (any SessionStore)? = nil, archive: any ReportArchive = MemoryArchive(),
        audit: AuditLog? = nil, tracer: Tracer? = nil
    ) {
        self.connectionLimits = connectionLimits
        self.sessions = sessions
        self.access = access
        self.health = health
        self.upstream = upstream
        self.store = store
        usage =
            if let source = store as? any UsageSource { UsageTable(source: source) } else {
                UsageTable(ledger: store == nil ? UsageLedger() : nil)
            }
        self.archive = archive
        self.audit = audit
        self.tracer = tracer
    }

    /// The cluster that the gateway has joined; nil when it runs alone.
    package var cluster: SessionCluster? { joined.withLock { $0 } }

    /// Joins a cluster. Called once, before connections are accepted.
    package func join(_ cluster: SessionCluster) { joined.withLock { $0 = cluster } }

    /// Whether new work is accepted: false while commits fail, or while this node has no lease.
    package var acceptsWork: Bool {
        guard let store else { return true }
        return store.acceptsWork && lease.isHeld
    }

    /// Adds the mailbox of an event loop.
    ///
    /// - Returns: the number of the loop.
    func add(_ mailbox: any SessionMailbox) -> Int {
        mailboxes.withLock { mailboxes in
            mailboxes.append(mailbox)
            return mailboxes.count - 1
        }
    }

    var allMailboxes: [any SessionMailbox] { mailboxes.withLock { $0 } }

    package func mailbox(_ number: Int) -> (any SessionMailbox)? {
        mailboxes.withLock { $0.indices.contains(number) ? $0[number] : nil }
    }

    /// Ends transfers between event loops after the gateway has stopped, and breaks the reference cycle between the loops and this object.
    package func removeMailboxes() { mailboxes.withLock { $0 = [] } }

    package var memoryBytes: Int { memory.load(ordering: .relaxed) }

    /// Adds a change of one loop's memory usage, in bytes.
    ///
    /// - Returns: the memory usage of all sessions.
    package func addMemory(_ bytes: Int) -> Int {
        let total = memory.add(bytes, ordering: .relaxed).newValue
        if bytes > 0 { peakMemory.max(total, ordering: .relaxed) }
        return total
    }

    /// The highest memory usage of all sessions so far.
    package var peakMemoryBytes: Int { peakMemory.load(ordering: .relaxed) }

    package var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Whether upgrades are rejected because the gateway drains.
    package var rejectsUpgrades: Bool { rejecting.load(ordering: .relaxed) }

    /// - Parameter rejectsUpgrades: whether upgrades are rejected from now on
    package func beginDraining(rejectsUpgrades: Bool) {
        draining.store(true, ordering: .relaxed)
        if rejectsUpgrades { rejecting.store(true, ordering: .relaxed) }
    }
}
