// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets tasks wait for the next change of a state that is kept elsewhere.
///
/// Read ``version``, look at the state, and pass the version to ``wait(after:)``: no change in between is missed.
final class ChangeSignal: Sendable {
    private struct State {
        var version: UInt64 = 0
        var nextTicket: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    var version: UInt64 { state.withLock { $0.version } }

    /// Wakes all waiting tasks. Call it after the change.
    func notify() {
        let waiters = state.withLock { state in
            state.version &+= 1
            defer { state.waiters = [:] }
            return state.waiters.isEmpty ? [] : Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when the state has changed since `version`, or when the task is cancelled.
    func wait(after version: UInt64) async {
        let ticket = state.withLock { state in
            state.nextTicket &+= 1
            return state.nextTicket
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isWaiting = state.withLock { state in
                    // A cancellation sets the flag before its handler looks for the waiter.
                    guard state.version == version, !Task.isCancelled else { return false }
                    state.waiters[ticket] = continuation
                    return true
                }
                if !isWaiting { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: ticket) }?.resume()
        }
    }
}
