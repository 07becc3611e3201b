package import GatewayCore
import Synchronization

/// What all event loops share. Touched at accept, upgrade, close and tick, not for a message (but for `limits.global_per_second`).
package final class SharedGateway: Sendable {
    package let occupancy: Occupancy
    package let global = SharedLimiter()
    package let health: HealthRegistry
    package let upstream: any UpstreamProvider
    /// Ledgers of all sessions, as of the last tick of each loop.
    private let memory = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)

    package init(occupancy: Occupancy, health: HealthRegistry, upstream: any UpstreamProvider) {
        self.occupancy = occupancy
        self.health = health
        self.upstream = upstream
    }

    package var memoryBytes: Int { memory.load(ordering: .relaxed) }

    /// One loop's ledgers have changed by so much.
    package func addMemory(_ bytes: Int) -> Int { memory.add(bytes, ordering: .relaxed).newValue }

    package var isDraining: Bool { draining.load(ordering: .relaxed) }

    package func beginDraining() { draining.store(true, ordering: .relaxed) }
}
