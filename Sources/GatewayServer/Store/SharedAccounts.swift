// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The accounts of users in a store that several gateways share: connections, uses of tokens, revocations, usage, and the units of
/// `limits.global_per_second`.
package protocol SharedAccounts: Sendable {
    // MARK: Connections

    /// Counts a connection of a user on this node until ``releaseConnection(_:of:)``, unless the user is at the limit.
    ///
    /// - Parameters:
    ///   - session: the session that the connection resumes, whose connection it replaces; nil for a new session
    ///   - maximum: `connections.per_user`, at least 1
    ///   - evictsOldest: whether the user's oldest connections are removed instead of rejecting the new one
    ///   - nodes: the nodes that are alive
    func admitConnection(
        _ connection: ULID, of user: String, resuming session: ULID?, maximum: Int, evictsOldest: Bool, nodes: [ULID]
    ) async throws(StoreError) -> ConnectionAdmission

    /// Removes the connections of nodes that have ended.
    func removeConnections(of user: String, on nodes: [ULID]) async throws(StoreError)

    /// Records the session of a connection that is counted. Doesn't wait; retried after an outage.
    func updateConnection(_ connection: ULID, of user: String, session: ULID)

    /// Stops counting a connection. Doesn't wait; retried after an outage.
    func releaseConnection(_ connection: ULID, of user: String)

    // MARK: Tokens

    /// Spends one use of a token. If this throws, the use may be spent.
    ///
    /// - Parameters:
    ///   - uses: how often the token can be used
    ///   - until: the time from which the token is invalid, in Unix milliseconds
    /// - Returns: the number of uses so far; nil when the token has no use left
    func spend(_ tokenID: String, of uses: Int, until: Int64) async throws(StoreError) -> Int?

    /// Returns a use of a token. Doesn't wait; retried after an outage.
    func refund(_ tokenID: String)

    /// Returns the revocations that were stored after a time, and some before it.
    ///
    /// - Parameter time: the time that the last call returned; nil for all
    /// - Returns: the revocations, and the time for the next call
    func revocations(since time: Int64?) async throws(StoreError) -> (entries: [Revocations.Entry], time: Int64)

    /// Stores a key that signs minted tokens, unless there is one.
    ///
    /// - Returns: the stored key, as PEM, and its `kid`
    func mintingKey(proposing keyID: String, pem: String) async throws(StoreError) -> (keyID: String, pem: String)

    // MARK: Usage

    /// Sets the handler of stored usage. It is called on one thread, in the order of the store: with the usage of a user on a day, and the
    /// part of it that this node has just added. To be called once, before anything is submitted.
    func setUsageHandler(
        _ handler: @escaping @Sendable (_ user: String, _ day: UTCDay, _ total: UsageAmounts, _ own: UsageAmounts) -> Void)

    /// Passes the current usage of a user on a day to the handler of stored usage. Doesn't wait.
    func queryUsage(of user: String, on day: UTCDay)

    // MARK: Limits

    /// Grants units of `limits.global_per_second`, by the generic cell rate algorithm.
    ///
    /// - Parameter units: at most as many
    /// - Returns: the granted units, and if there are none, how long until there is one
    func grant(_ units: Int64, at rate: Rate) async throws(StoreError) -> (units: Int64, wait: Instant.Duration)
}

/// The result of counting a connection against `connections.per_user`.
package enum ConnectionAdmission: Sendable, Hashable {
    package struct Evicted: Sendable, Hashable {
        package var connection: ULID
        package var node: ULID

        package init(connection: ULID, node: ULID) {
            self.connection = connection
            self.node = node
        }
    }

    /// The connection is counted. The evicted ones aren't any more, and have to be closed.
    case admitted(evicting: [Evicted])
    /// The user is at the limit.
    case full
    /// Nothing was changed, because connections of these nodes count, which aren't in the list of nodes.
    case unknownNodes([ULID])
}
