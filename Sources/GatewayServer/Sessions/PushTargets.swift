// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The sessions that pushes and commands of operators reach. The gateway implements this protocol; tests can use other implementations.
package protocol PushTargets: Sendable {
    /// Pushes into a session; nil if it isn't live.
    func push(_ push: Push, to session: ULID) async -> PushResult?

    /// Pushes into the sessions of a user that began after `start`, or into all of them if nil.
    func push(_ push: Push, toUser user: String, startedAfter start: ULID?) async throws -> PushResult

    /// Pushes into all sessions.
    func pushToAll(_ push: Push) async throws -> PushResult

    /// Performs a command of an operator; nil if the session isn't live.
    ///
    /// - Parameter name: the name of the operator's token
    func supervise(
        _ session: ULID, _ command: SupervisionCommand, by name: String
    ) async -> Result<SupervisionReport, SupervisionFault>?

    /// Whether a session with this id has ended and left a report.
    func hasEnded(_ session: ULID) async -> Bool

    var undelivered: UndeliveredPushes { get }
}

/// The sessions that a push was queued in, and the number of those in which it failed.
package struct PushResult: Sendable, Hashable {
    package struct Delivery: Sendable, Hashable {
        package var session: ULID
        /// The `seq` of the last message of the push.
        package var sequence: UInt64

        package init(session: ULID, sequence: UInt64) {
            self.session = session
            self.sequence = sequence
        }
    }

    package var deliveries: [Delivery] = []
    /// The number of further sessions that the push was queued in.
    package var unlisted = 0
    package var failures = 0
    /// The names of the nodes that didn't respond.
    package var missingNodes: [String] = []
    /// Sessions that weren't on the event loop any more: they ended or were transferred to another loop.
    package var missing: [ULID] = []

    package init() {}

    mutating func add(_ other: PushResult) {
        deliveries += other.deliveries
        unlisted += other.unlisted
        failures += other.failures
        missingNodes += other.missingNodes.filter { !missingNodes.contains($0) }
        missing += other.missing
    }
}
