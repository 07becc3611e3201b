/// Everything that binds a session, compiled once from the configuration.
///
/// A rate of ``Rate/unlimited``, a size or count of `Int.max` and a time of `Int64.max` mean "off", which is what a new policy says.
package struct SessionPolicy: Sendable {
    /// A limit as clients see it in `limits{}`, by its configuration name.
    package struct NamedLimit: Sendable {
        package var name: String
        package var value: Double

        package init(_ name: String, _ value: Double) {
            self.name = name
            self.value = value
        }
    }

    package var rules = ValidationRules()

    package var text = Rate.unlimited
    package var audio = Rate.unlimited
    package var chunks = Rate.unlimited
    /// Units are microseconds of audio.
    package var realtime = Rate.unlimited
    package var control = Rate.unlimited
    package var bytes = Rate.unlimited
    package var global = Rate.unlimited
    package var refusals = Rate.unlimited
    package var violations = Rate.unlimited
    /// All sessions of one client together may send so many times what one may; 0: off.
    package var clientFactor = 0.0

    /// Nanoseconds from the session's beginning to its end.
    package var lifetime = Int64.max
    /// Nanoseconds without a message.
    package var idle = Int64.max
    /// Nanoseconds without a connection.
    package var resumeWindow = Int64.max
    package var historyMessages = Int.max
    package var historyBytes = Int.max
    package var duplicateIDs = Int.max
    package var outboxMessages = Int.max
    package var outboxBytes = Int.max
    package var memoryBudget = Int.max
    package var upstreamQueueBytes = Int.max
    package var heartbeatMilliseconds: Int64 = 30_000
    /// What the `session` message tells.
    package var namedLimits: [NamedLimit] = []

    package init() {}
}

/// A policy for many sessions: each of them holds a reference.
package final class SharedPolicy: Sendable {
    package let value: SessionPolicy

    package init(_ value: SessionPolicy) { self.value = value }
}
