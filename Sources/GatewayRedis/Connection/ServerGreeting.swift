// SPDX-License-Identifier: Apache-2.0

/// The use of a connection, on which the required kind of server depends.
enum ConnectionPurpose: Sendable, Hashable {
    /// Commands and subscriptions.
    case master
    /// Questions about a cluster, which each node can answer.
    case clusterNode
    /// Questions about masters, and their changes.
    case sentinel
}

/// The server's reply to `HELLO` (Redis 6 and later).
struct ServerGreeting: Sendable, Hashable {
    /// The version of Redis that the server is compatible with, such as 7.2.4.
    var version: String
    /// `standalone`, `sentinel` or `cluster`.
    var mode: String
    /// `master`, or `replica` (in older versions `slave`); empty for a Sentinel.
    var role: String

    /// nil if the reply isn't an array with these fields.
    init?(_ reply: RedisReply) {
        guard let version = reply.value(of: "version")?.text, let mode = reply.value(of: "mode")?.text else { return nil }
        self.version = version
        self.mode = mode
        role = reply.value(of: "role")?.text ?? ""
    }

    /// Returns why the server can't be used; nil if it can.
    func objection(to purpose: ConnectionPurpose, in settings: RedisSettings) -> String? {
        switch purpose {
        case .sentinel: return mode == "sentinel" ? nil : "the server isn't a Sentinel"
        case .clusterNode: return clusterObjection
        case .master:
            if mode == "sentinel" { return "the server is a Sentinel; use redis+sentinel://" }
            if settings.mode == .cluster {
                if let clusterObjection { return clusterObjection }
            } else if mode == "cluster" {
                return "the server is a node of a cluster; use redis+cluster://"
            }
            return role == "master" ? nil : "the server is a replica"
        }
    }

    private var clusterObjection: String? { mode == "cluster" ? nil : "the server isn't a node of a cluster" }
}
