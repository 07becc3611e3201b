// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import Logging
package import NIOCore
import Synchronization

/// The log level in effect: that of the configuration, or another one for a limited time.
///
/// A reload changes the configured level. A temporary one stays in effect until it expires.
package final class LogLevelControl: Sendable {
    package struct Override: Sendable, Hashable {
        package var level: Logger.Level
        /// Unix milliseconds.
        package var until: Int64
    }

    private struct State {
        var configured: Logger.Level
        var override: Override?
        /// Incremented with each override, so that the timer of an earlier one has no effect.
        var generation: UInt64 = 0
        var timer: Scheduled<Void>?
    }

    private let state: Mutex<State>
    private let apply: @Sendable (Logger.Level) -> Void
    private let eventLoop: any EventLoop
    private let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - configured: `logging.level`
    ///   - eventLoop: runs the timer
    ///   - now: returns the time in Unix milliseconds
    ///   - apply: sets the level of the log
    package init(
        configured: Logger.Level, eventLoop: any EventLoop, now: @escaping @Sendable () -> Int64 = { LoopClock.wallMilliseconds() },
        apply: @escaping @Sendable (Logger.Level) -> Void
    ) {
        state = Mutex(State(configured: configured))
        self.eventLoop = eventLoop
        self.now = now
        self.apply = apply
    }

    /// The level in effect, and the end of its time; nil for the configured level.
    package var current: (level: Logger.Level, until: Int64?) {
        state.withLock { ($0.override?.level ?? $0.configured, $0.override?.until) }
    }

    package var configured: Logger.Level { state.withLock { $0.configured } }

    /// Applies the level of a reloaded configuration, unless a temporary level is in effect.
    package func configure(_ level: Logger.Level) {
        state.withLock { state in
            state.configured = level
            if state.override == nil { apply(level) }
        }
    }

    /// Sets a temporary level, which replaces an earlier one.
    ///
    /// - Returns: the end in Unix milliseconds
    @discardableResult
    package func override(_ level: Logger.Level, for duration: Duration) -> Int64 {
        let until = now() &+ duration.clampedMilliseconds
        let earlier = state.withLock { state in
            state.generation &+= 1
            let generation = state.generation
            state.override = Override(level: level, until: until)
            apply(level)
            let earlier = state.timer
            state.timer = eventLoop.scheduleTask(in: .milliseconds(duration.clampedMilliseconds)) { [weak self] in
                self?.revert(generation)
            }
            return earlier
        }
        earlier?.cancel()
        return until
    }

    private func revert(_ generation: UInt64) {
        state.withLock { state in
            guard state.generation == generation else { return }
            state.override = nil
            state.timer = nil
            apply(state.configured)
        }
    }
}
