// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import Logging
import ServiceLifecycle
import Synchronization

/// Users over all nodes: their connections, revocations and usage. A service: it looks for revocations that other nodes have stored.
package final class ClusterAccess: Service, CustomStringConvertible {
    /// The result of counting a connection against `connections.per_user`.
    enum Admission: Sendable {
        case admitted
        case full
        /// The store can't be reached.
        case unavailable
    }

    private let directory: NodeDirectory
    private let store: any SharedStore
    private let links: NodeLinks
    private let users: UserConnections
    private let tokens: TokenAuthority
    private let usage: UsageTable
    private let logger: Logger
    /// The time of the last revocation that is known; see ``SharedAccounts/revocations(since:)``.
    private let revocationTime = Mutex<Int64?>(nil)

    /// How often an admission is tried again without the nodes that have ended.
    private static let maximumAttempts = 3
    /// The time in which another node answers.
    private static let timeout = Duration.seconds(2)

    package init(
        directory: NodeDirectory, store: any SharedStore, links: NodeLinks, users: UserConnections, tokens: TokenAuthority,
        usage: UsageTable, logger: Logger
    ) {
        self.directory = directory
        self.store = store
        self.links = links
        self.users = users
        self.tokens = tokens
        self.usage = usage
        self.logger = logger
        users.share(store)
        store.setUsageHandler { user, day, total, own in
            usage.known(user)?.update(stored: total, including: own, on: day)
        }
    }

    /// The service's name in log lines of the service lifecycle.
    package var description: String { "revocations of other nodes" }

    package func run() async throws {
        let pause = directory.lease / 3
        while (try? await cancelWhenGracefulShutdown { try await Task.sleep(for: pause) }) != nil { await fetchRevocations() }
    }

    // MARK: Connections

    /// Whether connections are counted in the store.
    var countsConnections: Bool { users.policy.maximum > 0 }

    /// Counts a connection in the store, and closes those that it evicts. Calls `completion` on any thread.
    func admit(
        _ connection: ULID, of user: String, resuming token: TokenHash?, completion: @escaping @Sendable (Admission) -> Void
    ) {
        // Ends after the time-outs of a few commands.
        Task { completion(await admit(connection, of: user, resuming: token)) }
    }

    func admit(_ connection: ULID, of user: String, resuming token: TokenHash?) async -> Admission {
        let policy = users.policy
        do throws(StoreError) {
            var session: ULID?
            if let token, case .session(let id, _, _) = try await store.locate(token) { session = id }
            for _ in 0..<Self.maximumAttempts {
                let admission = try await store.admitConnection(
                    connection, of: user, resuming: session, maximum: policy.maximum, evictsOldest: policy.evictsOldest,
                    nodes: directory.others.map(\.id))
                switch admission {
                case .admitted(let evicted):
                    // The connection may have closed meanwhile.
                    if !users.markShared(connection, of: user) { store.releaseConnection(connection, of: user) }
                    for entry in evicted { evict(entry, of: user) }
                    return .admitted
                case .full: return .full
                case .unknownNodes(let nodes):
                    let alive = try await directory.refresh()
                    try await store.removeConnections(of: user, on: nodes.filter { alive[$0] == nil })
                }
            }
        } catch {
            logger.debug("a connection can't be counted", metadata: ["error": "\(error)"])
        }
        return .unavailable
    }

    private func evict(_ entry: ConnectionAdmission.Evicted, of user: String) {
        guard entry.node != directory.record.id else { return users.evict(entry.connection, of: user) }
        guard let node = directory.other(entry.node) else { return }
        Task {
            guard await send(.evict(user: user, connection: entry.connection), to: node) == nil else { return }
            logger.debug("a connection on another node can't be evicted", metadata: ["node": "\(node.name)"])
        }
    }

    // MARK: Revocations

    /// Announces a revocation to the other nodes.
    ///
    /// - Returns: the number of connections that they have closed
    func announce(_ revocation: Revocations.Entry) async -> Int {
        // A node that has just joined may have connections.
        _ = try? await directory.refresh()
        return await withTaskGroup(of: Int.self) { group in
            for node in directory.others {
                group.addTask { await self.send(.revoke(revocation), to: node).map(UserNotice.revokedCount) ?? 0 }
            }
            return await group.reduce(0, +)
        }
    }

    /// Applies revocations that other nodes have stored, in case their announcements were lost.
    func fetchRevocations() async {
        do throws(StoreError) {
            let (entries, time) = try await store.revocations(since: revocationTime.withLock { $0 })
            revocationTime.withLock { $0 = time }
            for entry in entries { apply(entry) }
        } catch {
            // Revocations that are stored meanwhile must be found afterwards.
            logger.debug("revocations of other nodes can't be fetched", metadata: ["error": "\(error)"])
        }
    }

    /// - Returns: the number of connections that were closed
    @discardableResult
    private func apply(_ revocation: Revocations.Entry) -> Int {
        do throws(Revocations.Full) {
            guard try tokens.merge(revocation, now: LoopClock.wallMilliseconds()) else { return 0 }
        } catch {
            logger.error("too many revocations; one of another node is lost")
        }
        return users.revoke(revocation.user, before: revocation.before)
    }

    // MARK: Usage

    /// Updates the usage of a user whose session has moved here.
    func refreshUsage(of user: String?) {
        guard let user else { return }
        store.queryUsage(of: user, on: UTCDay(unixMilliseconds: LoopClock.wallMilliseconds()))
    }

    // MARK: Messages

    private func send(_ notice: UserNotice, to node: NodeRecord) async -> [UInt8]? {
        guard let address = SocketEndpoint(node.address) else { return nil }
        return try? await links.request(
            notice.record, kind: NodeRequestKind.userNotice.rawValue, to: node.id, at: address, timeout: Self.timeout)
    }

    /// Answers a message of another node.
    func answer(_ message: [UInt8]) -> [UInt8] {
        switch try? UserNotice(record: message) {
        case .evict(let user, let connection):
            users.evict(connection, of: user)
            return []
        case .revoke(let entry): return UserNotice.revoked(apply(entry))
        case nil: return []
        }
    }
}

extension UnitStock {
    /// Creates a stock of units that a shared store grants.
    package convenience init(_ store: any SharedAccounts) {
        self.init { stock, rate, units in
            // Ends after the time-out of one command.
            Task {
                var granted: (units: Int64, wait: Instant.Duration) = (0, .milliseconds(100))
                do throws(StoreError) { granted = try await store.grant(units, at: rate) } catch {}
                stock.add(granted.units, wait: granted.wait, now: Instant(nanoseconds: LoopClock.monotonicNanoseconds()))
            }
        }
    }
}
