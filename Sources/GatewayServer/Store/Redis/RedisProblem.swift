// SPDX-License-Identifier: Apache-2.0

import GatewayRedis

/// The reason why commands of the store fail, with the remedy.
struct RedisProblem: Sendable, Hashable {
    /// The cause, as in log lines. A new cause is logged also during an outage.
    enum Cause: String, Sendable {
        case connection, authentication, memory, loading, replicas, disk, cluster, type, version, settings, other
        case readOnly = "read_only"
        case timeout
    }

    var cause: Cause
    var text: String

    init(_ cause: Cause, _ text: String) {
        self.cause = cause
        self.text = text
    }

    init(_ failure: RedisFailure) {
        switch failure {
        case .unavailable(let reason): self = Self.lostConnection(reason)
        case .interrupted(let reason): self = Self.lostConnection(reason)
        case .error(let error): self.init(error)
        }
    }

    /// Creates the problem of a connection that failed for a reason, which can begin with the code of an error reply.
    static func lostConnection(_ reason: String) -> RedisProblem {
        for code in ["WRONGPASS", "NOAUTH", "NOPERM"] where reason.contains(code) {
            return RedisProblem(RedisError(code: code, text: reason))
        }
        if reason.contains("the server is a replica") {
            return RedisProblem(.readOnly, "\(reason); point `store.urls` to the master, or to the Sentinels")
        }
        if reason.contains("LOADING") { return RedisProblem(.loading, "the server is loading its data") }
        return RedisProblem(.connection, reason)
    }

    init(_ error: RedisError) {
        switch error.code {
        case "OOM": self.init(.memory, "the server is out of memory; raise `maxmemory`, or wait until sessions end")
        case "READONLY", "UNBLOCKED": self.init(.readOnly, "the server is a replica and read-only; point `store.urls` to the master")
        case "WRONGPASS", "NOAUTH":
            self.init(.authentication, "the server rejects the user or password; check `store.user` and `store.password_file`")
        case "NOPERM": self.init(.authentication, "the user isn't allowed to run a command or use a key: \(error.text)")
        case "LOADING": self.init(.loading, "the server is loading its data")
        case "MISCONF": self.init(.disk, "the server can't write to its disk: \(error.text)")
        case "NOREPLICAS", "NOGOODSLAVE": self.init(.replicas, "the server has fewer replicas than its `min-replicas-to-write`")
        case "MASTERDOWN": self.init(.readOnly, "the server is a replica without a master")
        case "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "CROSSSLOT": self.init(.cluster, "the cluster isn't available: \(error)")
        case "WRONGTYPE": self.init(.type, "a key of the store has the wrong type; it was written by another program")
        default: self.init(.other, "\(error)")
        }
    }

    /// Whether a later attempt may succeed without a change of the configuration.
    var isTemporary: Bool {
        switch cause {
        case .connection, .memory, .loading, .replicas, .disk, .cluster, .readOnly, .timeout: true
        case .authentication, .type, .version, .settings, .other: false
        }
    }
}
