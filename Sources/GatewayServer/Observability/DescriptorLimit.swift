// SPDX-License-Identifier: Apache-2.0

import CLinux
package import GatewayCore
import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// The limit on file descriptors (`ulimit -n`), and the check whether it suffices.
package final class DescriptorLimit: Sendable {
    /// The soft limit of the process; `Int.max` if there is none.
    package let limit: Int
    /// Monotonic time of the last accept that failed for lack of descriptors, in nanoseconds; 0: never.
    private let ranOutAt = Atomic<Int64>(0)
    /// The highest result of ``openCount()``.
    private let peak = Atomic<Int>(0)

    /// How long a failed accept counts as a shortage.
    private static let shortageDuration = Instant.Duration.seconds(60)

    /// - Parameter limit: nil reads the limit of the process.
    package init(limit: Int? = nil) {
        self.limit = limit ?? Int(clamping: parley_descriptor_limit())
    }

    /// The open descriptors: now, at most at an earlier call, and the limit.
    package var figure: ResourceFigure {
        let count = Self.openCount() ?? 0
        peak.max(count, ordering: .relaxed)
        return ResourceFigure(current: count, peak: peak.load(ordering: .relaxed), maximum: limit)
    }

    /// Returns the number of open descriptors; nil without `/proc`. Must not be called on an event loop: before Linux 6.2, every descriptor is visited.
    static func openCount() -> Int? {
        var status = parley_file_status()
        if parley_path_status("/proc/self/fd", &status) == 0, status.size > 0 { return Int(status.size) }
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Without `.`, `..` and the descriptor of the directory.
        return max(0, count - 3)
    }

    /// Records that an accept failed.
    package func accepting(failed error: any Error, now: Instant) {
        guard let error = error as? IOError, [EMFILE, ENFILE].contains(error.errnoCode) else { return }
        ranOutAt.store(max(1, now.nanoseconds), ordering: .relaxed)
    }

    /// Returns why descriptors are short: they ran out within the last minute, or the configured limits require more. Returns nil if there
    /// are enough.
    package func shortage(_ configuration: GatewayConfiguration, loops: Int, now: Instant) -> String? {
        let ranOut = ranOutAt.load(ordering: .relaxed)
        if ranOut > 0, now - Instant(nanoseconds: ranOut) < Self.shortageDuration {
            return "an accept failed for lack of file descriptors within the last minute (limit \(limit))"
        }
        let needed = Self.needed(configuration, loops: loops)
        return needed > limit ? "the configured limits require \(needed) file descriptors, and the limit is \(limit); raise ulimit -n" : nil
    }

    /// Returns how many descriptors the limits of a configuration allow to be open at once. Disabled limits count as 0.
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

    /// Caps a count at more descriptors than any system has, so that sums don't overflow.
    private static func bounded(_ count: Int) -> Int { min(count, 1 << 31) }

    /// Standard streams, listeners, the store and its log, files that are open briefly.
    private static let ownDescriptors = 32
    /// Three pipes and a process descriptor.
    private static let descriptorsPerProcess = 4
}
