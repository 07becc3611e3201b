package import GatewayCore
import NIOCore
import Synchronization

/// What all event loops share. Touched at accept, upgrade, close and tick, not for a message (but for `limits.global_per_second`).
package final class SharedGateway: Sendable {
    package let occupancy: Occupancy
    package let sessions: SessionRegistry
    package let global = SharedLimiter()
    /// The limiters of clients, which outlive their sessions.
    package let limiters = ClientLimiterTable()
    let relief = MemoryReliefRun()
    package let health: HealthRegistry
    package let descriptors = DescriptorLimit()
    package let upstream: any UpstreamProvider
    /// Nil when sessions live in memory only.
    package let store: (any SessionStore)?
    package let archive: any ReportArchive
    /// The event loops, by the numbers that ``SessionRegistry`` knows them by.
    private let loops = Mutex<[NIOLoopBound<LoopContext>]>([])
    /// Ledgers of all sessions. A loop tells of changes in steps (``LoopContext/memoryStep``).
    private let memory = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)

    package init(
        occupancy: Occupancy, sessions: SessionRegistry, health: HealthRegistry, upstream: any UpstreamProvider,
        store: (any SessionStore)? = nil, archive: any ReportArchive = MemoryArchive()
    ) {
        self.occupancy = occupancy
        self.sessions = sessions
        self.health = health
        self.upstream = upstream
        self.store = store
        self.archive = archive
    }

    /// Makes an event loop known. To be called on it.
    ///
    /// - Returns: its number.
    func add(_ loop: LoopContext) -> Int {
        let bound = NIOLoopBound(loop, eventLoop: loop.eventLoop)
        return loops.withLock { loops in
            loops.append(bound)
            return loops.count - 1
        }
    }

    var allLoops: [NIOLoopBound<LoopContext>] { loops.withLock { $0 } }

    func loop(_ number: Int) -> NIOLoopBound<LoopContext>? {
        loops.withLock { $0.indices.contains(number) ? $0[number] : nil }
    }

    /// The gateway has ended: no session is handed from one loop to another any more. Until then they and what they share keep each other alive.
    package func removeLoops() { loops.withLock { $0 = [] } }

    package var memoryBytes: Int { memory.load(ordering: .relaxed) }

    /// One loop's ledgers have changed by so much.
    package func addMemory(_ bytes: Int) -> Int { memory.add(bytes, ordering: .relaxed).newValue }

    package var isDraining: Bool { draining.load(ordering: .relaxed) }

    package func beginDraining() { draining.store(true, ordering: .relaxed) }
}
