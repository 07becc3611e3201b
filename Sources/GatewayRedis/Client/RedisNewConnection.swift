// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A connection to a master that isn't used for commands yet: a client's `onConnect` checks the server with it.
package final class RedisNewConnection: Sendable {
    package let endpoint: RedisEndpoint
    /// The version of Redis that the server is compatible with, such as 7.2.4 for Valkey 8.
    package let serverVersion: String
    private let serves: @Sendable (Int) -> Bool
    private let perform: @Sendable (RedisCommand, @escaping @Sendable (Result<RedisReply, RedisFailure>) -> Void) -> Void

    init(
        endpoint: RedisEndpoint, serverVersion: String, serves: @escaping @Sendable (Int) -> Bool,
        perform: @escaping @Sendable (RedisCommand, @escaping @Sendable (Result<RedisReply, RedisFailure>) -> Void) -> Void
    ) {
        self.endpoint = endpoint
        self.serverVersion = serverVersion
        self.serves = serves
        self.perform = perform
    }

    /// Whether the server is the master of the key's slot. Always the case without a cluster.
    package func serves(key: [UInt8]) -> Bool { serves(KeySlot.slot(of: key)) }

    /// Sends a command on this connection. Redirections aren't followed, and scripts aren't loaded.
    ///
    /// - Parameter completion: called on the client's event loop
    package func send(_ command: RedisCommand, completion: @escaping @Sendable (Result<RedisReply, RedisFailure>) -> Void) {
        perform(command, completion)
    }
}
