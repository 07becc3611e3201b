// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The commands of one hash slot that wait, because a server has rejected one of them: they are sent again in their order when all replies
/// to earlier commands of the slot have arrived.
struct SlotLane {
    /// The connection whose replies are awaited.
    let connection: RedisConnection
    /// The number of these replies.
    var missingReplies: Int
    /// The rejected commands, in the order of their replies, hence of their first attempt.
    var rejected: [PendingCommand] = []
    /// The commands that were sent since.
    var held: [PendingCommand] = []
    /// The scripts to load first.
    var scripts: [RedisScript] = []
    /// Whether the server asked for a later attempt.
    var isDelayed = false

    /// Creates the lane while the reply to the first rejected command is handled, which is counted as missing.
    init(_ connection: RedisConnection, slot: Int) {
        self.connection = connection
        missingReplies = 1 + connection.inFlight.count { $0.command.slot == slot && !$0.isInternal }
    }
}
