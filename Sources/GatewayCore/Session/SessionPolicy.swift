// SPDX-License-Identifier: Apache-2.0

/// The limits and bounds of a session, compiled once from the configuration.
///
/// A rate of ``Rate/unlimited``, a size or count of `Int.max` and a time of `Int64.max` mean "off", the default.
package struct SessionPolicy: Sendable {
    /// An entry of the `limits` object in the `session` message. The name is the configuration key.
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

    /// Nanoseconds after its start at which a session expires.
    package var lifetime = Int64.max
    /// Nanoseconds without a message after which a session expires.
    package var idle = Int64.max
    /// Nanoseconds without a connection after which a session expires.
    package var resumeWindow = Int64.max
    package var historyMessages = Int.max
    package var historyBytes = Int.max
    package var duplicateIDs = Int.max
    package var outboxMessages = Int.max
    package var outboxBytes = Int.max
    package var memoryBudget = Int.max
    package var upstreamQueueBytes = Int.max
    /// Whether the audio frames of responses are stored. False for a shared store: a thousand speaking sessions produce 48 MB per second.
    package var storesAudioFrames = true
    /// The durability of an acknowledged message, for the `session` message; nil unless gateways share the store.
    package var durability: String?
    /// Nanoseconds without a command of the operator after which a takeover ends.
    package var takeoverTimeout = Int64.max
    package var heartbeatMilliseconds: Int64 = 30_000
    /// `auth.leeway` in milliseconds.
    package var tokenLeeway: Int64 = 0
    /// `auth.claims_factor`
    package var claimsFactor = 1.0
    /// The configured quotas of each user.
    package var quotas = QuotaLimits()
    /// The limits that the `session` message reports.
    package var namedLimits: [NamedLimit] = []

    package init() {}
}

/// A policy that many sessions reference.
package final class SharedPolicy: Sendable {
    package let value: SessionPolicy

    package init(_ value: SessionPolicy) { self.value = value }
}
