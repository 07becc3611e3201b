// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayRedis

/// Connections of users, and the units of `limits.global_per_second`, over all nodes.
extension RedisStore {
    /// How long the connections of a user are kept after the last change, in ms. Nodes remove their own; those of a node that crashed are
    /// removed at the user's next connection.
    private static let connectionsLifetime: Int64 = 30 * 86_400_000

    package func admitConnection(
        _ connection: ULID, of user: String, resuming session: ULID?, maximum: Int, evictsOldest: Bool, nodes: [ULID]
    ) async throws(StoreError) -> ConnectionAdmission {
        var command = RedisCommand(evaluating: StoreScripts.admitConnection, key: keys.connections(user))
        command.append(node.description)
        command.append(connection.description)
        command.append(session?.description ?? "")
        command.append(maximum)
        command.append(evictsOldest ? 1 : 0)
        command.append(Self.connectionsLifetime)
        for node in nodes { command.append(node.description) }
        let reply = (try await send(command).elements ?? []).compactMap(\.text)
        let ids = reply.dropFirst().map { ULID($0) }
        switch reply.first {
        case "ok":
            let evicted = stride(from: 0, to: ids.count - 1, by: 2).compactMap { index in
                if let connection = ids[index], let node = ids[index + 1] {
                    ConnectionAdmission.Evicted(connection: connection, node: node)
                } else {
                    nil
                }
            }
            return .admitted(evicting: evicted)
        case "full": return .full
        case "unknown": return .unknownNodes(ids.compactMap(\.self))
        default: throw StoreError(path: settings.name, problem: "unexpected reply to the admission of a connection", isTemporary: true)
        }
    }

    package func removeConnections(of user: String, on nodes: [ULID]) async throws(StoreError) {
        guard !nodes.isEmpty else { return }
        var command = RedisCommand(evaluating: StoreScripts.removeNodes, key: keys.connections(user))
        for node in nodes { command.append(node.description) }
        _ = try await send(command)
    }

    package func updateConnection(_ connection: ULID, of user: String, session: ULID) {
        var command = RedisCommand(evaluating: StoreScripts.updateConnection, key: keys.connections(user))
        command.append(connection.description)
        command.append(node.description)
        command.append(session.description)
        command.append(Self.connectionsLifetime)
        enqueue(command)
    }

    package func releaseConnection(_ connection: ULID, of user: String) {
        var command = RedisCommand("HDEL")
        command.append(key: keys.connections(user))
        command.append(connection.description)
        enqueue(command)
    }

    package func grant(_ units: Int64, at rate: Rate) async throws(StoreError) -> (units: Int64, wait: Instant.Duration) {
        guard !rate.isUnlimited else { return (units, .zero) }
        var command = RedisCommand(evaluating: StoreScripts.grant, key: keys.globalRate)
        command.append("\(rate.nanosecondsPerUnit / 1000)")
        command.append(rate.burstUnits)
        command.append(units)
        let numbers = (try await send(command).elements ?? []).compactMap(\.number)
        guard numbers.count == 2 else {
            throw StoreError(path: settings.name, problem: "unexpected reply to a request for units", isTemporary: true)
        }
        return (max(0, numbers[0]), .nanoseconds(max(0, min(numbers[1], 3_600_000_000)) * 1000))
    }
}
