/// The limits and bounds of a session, compiled once from the configuration.
///
/// A rate of ``Rate/unlimited``, a size or count of `Int.max` and a time of `Int64.max` mean "off", the default.
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
    package var rejections = Rate.unlimited
    package var violations = Rate.unlimited
    /// All sessions of one client together may send this many times what one session may; 0 turns the limit off.
    package var clientFactor = 0.0

    /// Nanoseconds from the session's start until it expires.
    package var lifetime = Int64.max
    /// Nanoseconds without a message until it expires.
    package var idle = Int64.max
    /// Nanoseconds without a connection until it expires.
    package var resumeWindow = Int64.max
    package var historyMessages = Int.max
    package var historyBytes = Int.max
    package var duplicateIDs = Int.max
    package var outboxMessages = Int.max
    package var outboxBytes = Int.max
    package var memoryBudget = Int.max
    package var upstreamQueueBytes = Int.max
    package var heartbeatMilliseconds: Int64 = 30_000
    /// The limits that the `session` message reports.
    package var namedLimits: [NamedLimit] = []

    package init() {}
}

/// A policy for many sessions: each of them holds a reference.
package final class SharedPolicy: Sendable {
    package let value: SessionPolicy

    package init(_ value: SessionPolicy) { self.value = value }
}
