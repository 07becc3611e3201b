// SPDX-License-Identifier: Apache-2.0

import GatewayRedis

/// The properties of a server that determine whether the store can use it, as of a new connection.
struct RedisServerFacts: Sendable, Hashable {
    /// The version of Valkey if it is one, else of Redis.
    var version: String
    /// Changes with each start of the server.
    var runID = ""
    /// The value of `appendonly`; nil if the server doesn't permit CONFIG.
    var appendOnly: String?
    /// The value of `appendfsync`; nil if the server doesn't permit CONFIG.
    var synchronization: String?
    /// The number of connected replicas.
    var replicas = 0
    /// The value of `maxmemory-policy`.
    var evictionPolicy = "noeviction"
    var usedMemory: Int64 = 0
    /// The id of the store's contents; nil if the server doesn't have its key's slot, or couldn't write it.
    var storeEpoch: [UInt8]?

    static let minimumVersion = (major: 6, minor: 2)

    /// - Parameter info: the reply to INFO
    init(version: String, info: String) {
        self.version = version
        for line in info.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = String(line[line.index(after: colon)...])
            switch line[..<colon] {
            case "valkey_version": self.version = value
            case "run_id": runID = value
            case "connected_slaves": replicas = Int(value) ?? 0
            case "maxmemory_policy": evictionPolicy = value
            case "used_memory": usedMemory = Int64(value) ?? 0
            default: break
            }
        }
    }

    /// Asks a server.
    ///
    /// - Parameter random: the id of the store's contents, if it has none
    static func read(_ connection: RedisNewConnection, keys: RedisKeys, random: String) async throws(RedisFailure) -> RedisServerFacts {
        let info = await reply(connection, RedisCommand("INFO"))
        var facts = RedisServerFacts(version: connection.serverVersion, info: (try? info.get())?.text ?? "")
        for (name, path) in [("appendonly", \RedisServerFacts.appendOnly), ("appendfsync", \.synchronization)] {
            var command = RedisCommand("CONFIG")
            command.append("GET" as StaticString)
            command.append(name)
            // Managed services and ACLs often forbid CONFIG.
            facts[keyPath: path] = (try? await reply(connection, command).get())?.value(of: name)?.text
        }
        guard connection.serves(key: keys.epoch) else { return facts }
        var create = RedisCommand("SET")
        create.append(key: keys.epoch)
        create.append(random)
        create.append("NX" as StaticString)
        // Fails while the server is out of memory.
        _ = await reply(connection, create)
        var get = RedisCommand("GET")
        get.append(key: keys.epoch)
        facts.storeEpoch = try await reply(connection, get).get().bytes
        return facts
    }

    private static func reply(_ connection: RedisNewConnection, _ command: RedisCommand) async -> Result<RedisReply, RedisFailure> {
        await withCheckedContinuation { continuation in connection.send(command) { continuation.resume(returning: $0) } }
    }

    /// Returns why the store can't use the server; nil if it can.
    ///
    /// - Parameter isFirst: whether the gateway starts. Later the number of replicas isn't checked, because after a failover the replicas
    ///   follow; until then commits wait.
    func problem(_ settings: RedisStoreSettings, isFirst: Bool) -> RedisProblem? {
        let parts = version.split(separator: ".").prefix(2).map { Int($0) ?? 0 } + [0, 0]
        guard (parts[0], parts[1]) >= Self.minimumVersion else {
            return RedisProblem(.version, "version \(version) of the server isn't supported; Redis 6.2 or Valkey 7.2 is the oldest that is")
        }
        switch settings.acknowledge {
        case .memory: return nil
        case .disk:
            guard let appendOnly, let synchronization else {
                return RedisProblem(
                    .settings,
                    "the server doesn't permit CONFIG GET, so `store.acknowledge: disk` can't be verified; permit it to the user, "
                        + "or set `store.acknowledge: memory` or `replicas`")
            }
            guard appendOnly == "yes", synchronization == "always" else {
                return RedisProblem(
                    .settings,
                    "`store.acknowledge: disk` requires `appendonly yes` and `appendfsync always` in the server's configuration; "
                        + "they are `\(appendOnly)` and `\(synchronization)`")
            }
            return nil
        case .replicas:
            guard isFirst, replicas < settings.replicas else { return nil }
            return RedisProblem(
                .replicas,
                "`store.acknowledge: replicas` requires \(settings.replicas) connected replicas (`store.replicas`); the server has "
                    + "\(replicas)")
        }
    }
}
