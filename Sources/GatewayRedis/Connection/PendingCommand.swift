// SPDX-License-Identifier: Apache-2.0

/// A command that has no reply yet. Used on the client's event loop only.
final class PendingCommand {
    let command: RedisCommand
    /// Whether the reply is only of interest to the connection's owner, so that its errors aren't handled by the client.
    let isInternal: Bool
    /// How often a server has rejected the command with `MOVED`, `ASK` or `TRYAGAIN`.
    var redirections = 0
    /// How often the command's script was loaded.
    var reloads = 0
    /// The server of the next attempt, to be preceded by `ASKING`.
    var askedEndpoint: RedisEndpoint?
    /// The connection on which the command was sent last.
    var connection: RedisConnection?

    /// Whether the command was sent more than once.
    var wasRejected: Bool { redirections > 0 || reloads > 0 }

    private var completion: ((Result<RedisReply, RedisFailure>) -> Void)?

    init(_ command: RedisCommand, isInternal: Bool = false, completion: @escaping (Result<RedisReply, RedisFailure>) -> Void) {
        self.command = command
        self.isInternal = isInternal
        self.completion = completion
    }

    /// Calls the completion, once.
    func complete(_ result: Result<RedisReply, RedisFailure>) {
        guard let completion = completion.take() else { return }
        completion(result)
    }

    /// Completes the command with a reply of the server, which may be an error.
    func complete(with reply: RedisReply) {
        if case .error(let error) = reply { complete(.failure(.error(error))) } else { complete(.success(reply)) }
    }
}
