import CLinux
package import GatewayCore
import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// The limit on file descriptors (`ulimit -n`), and whether the process can live with it.
package final class DescriptorLimit: Sendable {
    /// The soft limit of the process; `Int.max` where there is none.
    package let limit: Int
    /// When an accept failed for lack of descriptors, monotonic; 0 for never.
    private let ranOutAt = Atomic<Int64>(0)

    /// How long a failed accept counts as a shortage, in nanoseconds.
    private static let memory: Int64 = 60_000_000_000

    /// - Parameter limit: nil asks the system.
    package init(limit: Int? = nil) {
        self.limit = limit ?? Int(clamping: parley_descriptor_limit())
    }

    /// Notes that an accept failed.
    package func accepting(failed error: any Error, now: Instant) {
        guard let error = error as? IOError, [EMFILE, ENFILE].contains(error.errnoCode) else { return }
        ranOutAt.store(max(1, now.nanoseconds(since: Instant(nanoseconds: 0))), ordering: .relaxed)
    }

    /// The reason why there are too few: they ran out within the last minute, or the limits of the configuration need more. Nil otherwise.
    package func shortage(_ configuration: GatewayConfiguration, loops: Int, now: Instant) -> String? {
        let ranOut = ranOutAt.load(ordering: .relaxed)
        if ranOut > 0, now.nanoseconds(since: Instant(nanoseconds: ranOut)) < Self.memory {
            return "an accept failed for lack of file descriptors within the last minute (limit \(limit))"
        }
        let needed = Self.needed(configuration, loops: loops)
        return needed > limit ? "\(limit) file descriptors are allowed, and the configured limits need \(needed); raise ulimit -n" : nil
    }

    /// Descriptors that the limits of a configuration allow to be open at a time. Limits that are off count for nothing.
    package static func needed(_ configuration: GatewayConfiguration, loops: Int) -> Int {
        let operations = OperationsLimits()
        var needed = ownDescriptors + 3 * loops + bounded(configuration.connections.maxSockets)
        needed += operations.connections + operations.healthConnections
        for upstream in configuration.upstreams.values {
            switch upstream.kind {
            case .loopback: break
            case .process: needed += descriptorsPerProcess * bounded(upstream.maxProcesses)
            case .websocket: needed += loops * upstream.urls.count * bounded(upstream.connectionsPerLoop)
            case .openai, .http, .vosk: needed += bounded(upstream.maxConnections)
            }
        }
        return needed
    }

    /// More descriptors than any system has, and few enough to be added up.
    private static func bounded(_ count: Int) -> Int { min(count, 1 << 31) }

    /// Standard streams, listeners, the store and its log, files that are read for a moment.
    private static let ownDescriptors = 32
    /// Three pipes and a handle.
    private static let descriptorsPerProcess = 4
}
