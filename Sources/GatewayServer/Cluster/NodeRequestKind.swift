// SPDX-License-Identifier: Apache-2.0

/// The kinds of requests between nodes.
enum NodeRequestKind: UInt8 {
    case handOver = 1
    /// A push into sessions: ``ClusterPush``.
    case push = 2
    /// A list of live sessions: ``SessionListRequest``.
    case sessions = 3
    /// Connections and revocations of a user: ``UserNotice``.
    case userNotice = 10
}
