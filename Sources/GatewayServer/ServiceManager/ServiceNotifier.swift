// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import ServiceLifecycle
import Synchronization

/// The service that notifies the service manager of readiness, reloads, the stop of the process, and that its event loops run.
///
/// Without `NOTIFY_SOCKET` it does nothing.
package final class ServiceNotifier: Service, CustomStringConvertible {
    private let send: @Sendable ([String]) -> Void
    private let status: @Sendable () async -> ServiceNotifications.Status
    private let ticks: @Sendable () -> [Instant]
    private let state: Mutex<ServiceNotifications>
    private let isEnabled: Bool

    /// - Parameters:
    ///   - socket: nil without a service manager
    ///   - watchdog: the watchdog that the service manager has requested
    ///   - status: returns the state of the gateway
    ///   - ticks: returns the last tick of each event loop
    package init(
        socket: NotifySocket?, watchdog: Watchdog?, status: @escaping @Sendable () async -> ServiceNotifications.Status,
        ticks: @escaping @Sendable () -> [Instant]
    ) {
        isEnabled = socket != nil
        send = { socket?.send($0) }
        self.status = status
        self.ticks = ticks
        state = Mutex(ServiceNotifications(watchdog: watchdog))
    }

    package var description: String { "service notifier" }

    package func run() async throws {
        guard isEnabled else {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown { [self] in
            repeat { await update() } while (try? await Task.sleep(for: Duration(state.withLock { $0.updateInterval }))) != nil
        }
    }

    private func update() async {
        let status = await status()
        let ticks = ticks()
        notify { $0.update(status, ticks: ticks, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds())) }
    }

    package func reloadBegan() { notify { $0.reloadBegan(monotonic: LoopClock.monotonicNanoseconds() / 1000) } }

    package func reloadEnded() { notify { $0.reloadEnded() } }

    package func stopping() { notify { $0.stopping() } }

    /// Sends within the lock, so that notifications are sent in the order of the state's changes. Sending doesn't wait.
    private func notify(_ change: (inout ServiceNotifications) -> [String]) {
        state.withLock { send(change(&$0)) }
    }
}
