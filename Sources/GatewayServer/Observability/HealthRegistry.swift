// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A part of the gateway that must be ready before a load balancer may send clients.
package enum HealthPart: String, Sendable, CaseIterable {
    /// The TLS listener is bound.
    case listener
    /// There is a certificate, and it is currently valid.
    case certificates
    /// The store can persist acknowledged messages.
    case store
    /// New clients are accepted, which is not the case while the gateway drains.
    case accepting
    /// The configuration in effect is the one in the files.
    case configuration
    /// There are as many file descriptors as the configured limits require.
    case descriptors
    /// A key can verify the tokens of clients.
    case tokenKeys = "token_keys"
    /// The audit log is written.
    case audit
    /// The lease of this node holds, in a cluster.
    case cluster

    /// The parts that every gateway has; the others are reported once they are set.
    package static let allCases: [HealthPart] = [.listener, .certificates, .store, .accepting, .configuration, .descriptors, .tokenKeys]
    static let optional: [HealthPart] = [.audit, .cluster]
}

/// The state of a part.
package enum HealthState: Sendable, Hashable {
    case ready
    /// Works, but needs the operator's attention. The gateway still accepts clients.
    case degraded(String)
    /// Doesn't work, for a reason that only the operations listener reports.
    case notReady(String)
}

/// The states of all parts of the gateway, set by each part and read by the health routes of both listeners.
///
/// Every part is initially not ready, so that a part that is never started is reported.
package final class HealthRegistry: Sendable {
    private let states: Mutex<[HealthPart: HealthState]>
    private let conditions = Mutex<[HealthPart: @Sendable () -> String?]>([:])

    package init() {
        self.states = Mutex(Dictionary(uniqueKeysWithValues: HealthPart.allCases.map { ($0, .notReady("starting")) }))
    }

    /// Sets the state of a part, from any thread.
    package func set(_ part: HealthPart, _ state: HealthState) {
        states.withLock { $0[part] = state }
    }

    /// Sets a condition that is evaluated for each report: it returns why a ready part is degraded, or nil.
    package func watch(_ part: HealthPart, _ condition: @escaping @Sendable () -> String?) {
        conditions.withLock { $0[part] = condition }
    }

    /// The states of all parts now.
    package var report: HealthReport {
        let now = states.withLock { $0 }
        let conditions = conditions.withLock { $0 }
        return HealthReport(
            parts: (HealthPart.allCases + HealthPart.optional).compactMap { part in
                guard let state = now[part] else { return nil }
                guard state == .ready, let reason = conditions[part]?() else { return .init(part: part, state: state) }
                return .init(part: part, state: .degraded(reason))
            })
    }
}

/// The states of all parts at one moment, in a fixed order.
package struct HealthReport: Sendable, Hashable {
    package struct Entry: Sendable, Hashable {
        package var part: HealthPart
        package var state: HealthState

        package init(part: HealthPart, state: HealthState) {
            self.part = part
            self.state = state
        }

        /// Whether the part is ready; degraded parts are.
        var isReady: Bool { if case .notReady = state { false } else { true } }

        /// Why the part is degraded or not ready; nil if it is ready.
        package var reason: String? {
            switch state {
            case .ready: nil
            case .degraded(let reason), .notReady(let reason): reason
            }
        }
    }

    package var parts: [Entry]

    package init(parts: [Entry]) {
        self.parts = parts
    }

    /// Whether every part is ready; degraded parts are.
    package var isReady: Bool { parts.allSatisfy(\.isReady) }

    package var isDegraded: Bool { parts.contains { if case .degraded = $0.state { true } else { false } } }
}
