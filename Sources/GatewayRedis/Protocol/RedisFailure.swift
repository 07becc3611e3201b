// SPDX-License-Identifier: Apache-2.0

/// The reason why a command has no reply.
package enum RedisFailure: Error, Sendable, Hashable {
    /// The command wasn't executed: there is no connection, or the queue is full.
    case unavailable(String)
    /// The connection was lost, or the server didn't reply in time. Whether the command was executed is unknown.
    case interrupted(String)
    /// The server rejected the command.
    case error(RedisError)
}

extension RedisFailure: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let reason), .interrupted(let reason): reason
        case .error(let error): "\(error)"
        }
    }
}
