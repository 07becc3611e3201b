// SPDX-License-Identifier: Apache-2.0

import ServiceLifecycle
import Synchronization

/// The service that measures the gateway once a second, for all readers of `GET /v1/events` together.
///
/// A reader that is slower than the measurements gets the newest one.
package final class OverviewSampler: Service, CustomStringConvertible {
    private struct State {
        var latest: Overview?
        var latestAt: ContinuousClock.Instant?
        var readers: [UInt64: AsyncStream<Overview>.Continuation] = [:]
        var lastReader: UInt64 = 0
        var isFinished = false
    }

    /// The time between two measurements.
    package static let interval = Duration.seconds(1)

    private let measure: @Sendable () async -> Overview
    private let onSample: @Sendable () -> Void
    private let onFinish: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - onSample: called after each measurement
    ///   - onFinish: called at graceful shutdown
    ///   - measure: returns the current figures, without the rates
    package init(
        onSample: @escaping @Sendable () -> Void = {}, onFinish: @escaping @Sendable () -> Void = {},
        measure: @escaping @Sendable () async -> Overview
    ) {
        self.onSample = onSample
        self.measure = measure
        self.onFinish = onFinish
    }

    /// The service's name in log lines of the service lifecycle.
    package var description: String { "overview" }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                await sample(at: .now)
                try? await Task.sleep(for: Self.interval)
            }
        }
        finish()
    }

    /// Measures once, and sends the figures to all readers.
    func sample(at now: ContinuousClock.Instant) async {
        var overview = await measure()
        let readers = state.withLock { state in
            if let latest = state.latest, let at = state.latestAt {
                overview.rates = Overview.Rates(from: latest.totals, to: overview.totals, seconds: (now - at) / .seconds(1))
            }
            state.latest = overview
            state.latestAt = now
            return Array(state.readers.values)
        }
        for reader in readers { reader.yield(overview) }
        onSample()
    }

    /// Returns the measurements, beginning with the latest one. The stream ends at graceful shutdown.
    package func read() -> AsyncStream<Overview> {
        let (stream, continuation) = AsyncStream.makeStream(of: Overview.self, bufferingPolicy: .bufferingNewest(1))
        let (number, latest) = state.withLock { state -> (UInt64?, Overview?) in
            guard !state.isFinished else { return (nil, nil) }
            state.lastReader &+= 1
            state.readers[state.lastReader] = continuation
            return (state.lastReader, state.latest)
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [self] _ in state.withLock { _ = $0.readers.removeValue(forKey: number) } }
        if let latest { continuation.yield(latest) }
        return stream
    }

    private func finish() {
        let readers = state.withLock { state in
            state.isFinished = true
            return Array(state.readers.values)
        }
        for reader in readers { reader.finish() }
        onFinish()
    }
}
