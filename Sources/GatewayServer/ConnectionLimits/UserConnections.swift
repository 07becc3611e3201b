// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import Synchronization

/// The WebSocket connections of authenticated users, and their limit (`connections.per_user`). Shared by all event loops.
///
/// Locked when a connection is upgraded or closed and when its token is renewed, never for a message.
package final class UserConnections: Sendable {
    /// The keys `connections.per_user` and `connections.when_full`.
    package struct Policy: Sendable {
        /// 0: no limit
        package var maximum: Int
        package var evictsOldest: Bool

        package init(maximum: Int, evictsOldest: Bool) {
            self.maximum = maximum
            self.evictsOldest = evictsOldest
        }
    }

    /// Why the gateway closes a connection of a user.
    package enum Reason: Sendable {
        /// A newer connection of the user took its place.
        case evicted
        /// The user's tokens were revoked.
        case revoked
    }

    private struct Entry {
        let connection: ULID
        var session: ULID?
        /// The claim `iat` of the connection's token, in Unix milliseconds; nil without one.
        var issuedAt: Int64?
        let close: @Sendable (Reason) -> Void
        /// Whether the shared store counts the connection.
        var isShared = false
    }

    private struct State {
        var policy: Policy
        /// The connections of each user, the oldest first.
        var users: [String: [Entry]] = [:]
        var shared: (any SharedAccounts)?
    }

    private let state: Mutex<State>

    package init(policy: Policy) { state = Mutex(State(policy: policy)) }

    package var policy: Policy {
        get { state.withLock { $0.policy } }
        set { state.withLock { $0.policy = newValue } }
    }

    /// Leaves the limit to a shared store. Called once, before connections are accepted.
    package func share(_ shared: any SharedAccounts) { state.withLock { $0.shared = shared } }

    /// Admits a connection and counts it until ``release(_:of:)``. Above the limit the user's oldest connections are closed, or the new one
    /// is rejected.
    ///
    /// - Parameters:
    ///   - session: the session that the connection resumes, whose connection it replaces; nil for a new session
    ///   - close: closes the connection; called on any thread
    /// - Returns: whether the connection is admitted
    package func admit(
        _ connection: ULID, of user: String, resuming session: ULID?, issuedAt: Int64?, close: @escaping @Sendable (Reason) -> Void
    ) -> Bool {
        var evicted: [Entry] = []
        let isAdmitted = state.withLock { state in
            var entries = state.users[user] ?? []
            let policy = state.policy
            if policy.maximum > 0, state.shared == nil {
                // The connection of the resumed session is about to be closed.
                let replaced = session == nil ? 0 : entries.count { $0.session == session }
                let excess = entries.count - replaced + 1 - policy.maximum
                guard excess <= 0 || policy.evictsOldest else { return false }
                for _ in 0..<max(0, excess) {
                    guard let oldest = entries.firstIndex(where: { session == nil || $0.session != session }) else { break }
                    evicted.append(entries.remove(at: oldest))
                }
            }
            entries.append(Entry(connection: connection, session: session, issuedAt: issuedAt, close: close))
            state.users[user] = entries
            return true
        }
        for entry in evicted { entry.close(.evicted) }
        return isAdmitted
    }

    /// Records that the shared store counts a connection.
    ///
    /// - Returns: false if the connection was released
    func markShared(_ connection: ULID, of user: String) -> Bool {
        state.withLock { state in
            guard let index = state.users[user]?.firstIndex(where: { $0.connection == connection }) else { return false }
            state.users[user]?[index].isShared = true
            return true
        }
    }

    /// Records the session of a connection, and the `iat` of its current token.
    package func update(_ connection: ULID, of user: String, session: ULID, issuedAt: Int64?) {
        let shared = state.withLock { state -> (any SharedAccounts)? in
            guard let index = state.users[user]?.firstIndex(where: { $0.connection == connection }) else { return nil }
            let isNews = state.users[user]?[index].session != session
            state.users[user]?[index].session = session
            state.users[user]?[index].issuedAt = issuedAt
            return isNews && state.users[user]?[index].isShared == true ? state.shared : nil
        }
        shared?.updateConnection(connection, of: user, session: session)
    }

    package func release(_ connection: ULID, of user: String) {
        let shared = state.withLock { state -> (any SharedAccounts)? in
            guard let index = state.users[user]?.firstIndex(where: { $0.connection == connection }) else { return nil }
            let entry = state.users[user]?.remove(at: index)
            if state.users[user]?.isEmpty == true { state.users[user] = nil }
            return entry?.isShared == true ? state.shared : nil
        }
        shared?.releaseConnection(connection, of: user)
    }

    /// Closes a connection of a user, if it is on this node.
    func evict(_ connection: ULID, of user: String) {
        state.withLock { $0.users[user]?.first { $0.connection == connection } }?.close(.evicted)
    }

    /// Closes the connections of a user whose tokens were issued at or before a time, or have no `iat`.
    ///
    /// - Parameter time: Unix milliseconds
    /// - Returns: the number of connections
    package func revoke(_ user: String, before time: Int64) -> Int {
        let revoked = state.withLock { state in (state.users[user] ?? []).filter { $0.issuedAt.map { $0 <= time } ?? true } }
        for entry in revoked { entry.close(.revoked) }
        return revoked.count
    }

    package func count(of user: String) -> Int { state.withLock { $0.users[user]?.count ?? 0 } }
}

extension UserConnections.Policy {
    package init(_ configuration: GatewayConfiguration) {
        self.init(maximum: configuration.connections.perUser, evictsOldest: configuration.connections.whenFull == .evictOldest)
    }
}
