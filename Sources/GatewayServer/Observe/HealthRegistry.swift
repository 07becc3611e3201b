import Synchronization

/// A part that has to work before clients may be sent here.
package enum HealthPart: String, Sendable, CaseIterable {
    /// The TLS listener is bound.
    case listener
    /// There is a certificate to show, and it is valid now.
    case certificates
    /// What is acknowledged can be kept.
    case store
    /// New clients are taken: not while the gateway drains.
    case accepting
    /// The configuration in force is the one in the files.
    case configuration
    /// There are as many file descriptors as the limits of the configuration need.
    case descriptors
}

/// How a part is.
package enum HealthState: Sendable, Hashable {
    case ready
    /// It works, and somebody should look at it. Clients may be sent here.
    case degraded(String)
    /// The reason is for operators; the public listener doesn't tell it.
    case notReady(String)
}

/// Which parts of the gateway are ready. Set by whoever runs a part, read by the health routes of both listeners.
///
/// Every part begins as not ready, so that a part that nobody starts is seen.
package final class HealthRegistry: Sendable {
    private let states: Mutex<[HealthState]>
    private let conditions = Mutex<[HealthPart: @Sendable () -> String?]>([:])

    package init() {
        self.states = Mutex(HealthPart.allCases.map { _ in .notReady("starting") })
    }

    /// Says how a part is now. From any thread.
    package func set(_ part: HealthPart, _ state: HealthState) {
        guard let index = HealthPart.allCases.firstIndex(of: part) else { return }
        states.withLock { $0[index] = state }
    }

    /// Adds a condition that is evaluated for each report: the reason why a part that is ready is degraded, or nil.
    package func watch(_ part: HealthPart, _ condition: @escaping @Sendable () -> String?) {
        conditions.withLock { $0[part] = condition }
    }

    /// Whether every part is.
    package var isReady: Bool {
        states.withLock { $0.allSatisfy { $0 == .ready } }
    }

    /// All parts at one moment.
    package var report: HealthReport {
        let now = states.withLock { $0 }
        let conditions = conditions.withLock { $0 }
        return HealthReport(
            parts: zip(HealthPart.allCases, now).map { part, state in
                guard state == .ready, let reason = conditions[part]?() else { return .init(part: part, state: state) }
                return .init(part: part, state: .degraded(reason))
            })
    }
}

/// How all parts are at one moment, always in the same order.
package struct HealthReport: Sendable, Hashable {
    package struct Entry: Sendable, Hashable {
        package var part: HealthPart
        package var state: HealthState

        package init(part: HealthPart, state: HealthState) {
            self.part = part
            self.state = state
        }

        /// Degraded parts are ready.
        var isReady: Bool { if case .notReady = state { false } else { true } }

        /// Nil when nothing is wrong.
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

    package var isReady: Bool { parts.allSatisfy(\.isReady) }

    package var isDegraded: Bool { parts.contains { if case .degraded = $0.state { true } else { false } } }
}
