// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayRedis

/// A batch, report or query in the queue of a ``RedisCommitter``.
final class CommitEntry {
    /// The meaning of a command's reply.
    enum Role {
        /// Any reply but an error means success.
        case plain
        /// A commit of a session, by epoch and serial number.
        case commit(ULID, epoch: UInt64, serial: UInt64)
        /// The end of a session, after which these tokens are marked as ended.
        case end(ULID, epoch: UInt64, tokens: [TokenHash])
        case handOver(ULID, epoch: UInt64, serial: UInt64)
        /// An addition to the usage of a user on a day.
        case usage(UsageAddition)
        /// A part of a report, which is dropped if the server is out of memory.
        case report(ULID)
        /// A query whose reply is kept in ``replies`` at this index.
        case query(Int)
    }

    struct Command {
        var request: RedisCommand
        var role: Role
        /// Whether the reply was received, or the command isn't necessary any more.
        var isDone = false
        /// Whether the command was sent and its reply was lost, so that the server may have executed it.
        var isUncertain = false

        init(_ request: RedisCommand, _ role: Role = .plain) {
            self.request = request
            self.role = role
        }
    }

    enum State {
        /// Not sent, or not successfully.
        case waiting
        case sent
        case done
    }

    var commands: [Command] = []
    var state = State.waiting
    /// Counts towards the limit on waiting bytes.
    let bytes: Int
    var replies: [RedisReply] = []
    /// The result of a hand-over; nil when it failed.
    var newEpoch: UInt64?
    /// The time of the last attempt, in monotonic nanoseconds.
    var sentAt: Int64 = 0
    private let committed: (CommitEntry) -> Void
    /// Called once when the commit fails. The commit is retried, so that `committed` may follow.
    private var failed: (() -> Void)?
    /// Called instead of `committed` if the store closes before.
    private let abandoned: (() -> Void)?

    init(
        bytes: Int, committed: @escaping (CommitEntry) -> Void, failed: (() -> Void)? = nil, abandoned: (() -> Void)? = nil
    ) {
        self.bytes = bytes
        self.committed = committed
        self.failed = failed
        self.abandoned = abandoned
    }

    func abandon() {
        reportFailure()
        abandoned?()
    }

    func reportCommit() { committed(self) }

    func reportFailure() { failed.take()?() }
}

/// An addition to the usage of a user on a day.
struct UsageAddition {
    let user: String
    let day: UTCDay
    let rows: [(row: UsageRow, amounts: UsageAmounts)]
    /// A number that increases with each addition of this node. The server skips numbers that aren't higher than the last.
    var serial: UInt64

    var total: UsageAmounts { rows.reduce(into: .zero) { $0 += $1.amounts } }

    private static let fields: [(name: String, path: any KeyPath<UsageAmounts, Int64> & Sendable)] = [
        ("m", \.messages), ("i", \.audioIn), ("o", \.audioOut), ("t", \.inputTokens), ("u", \.outputTokens), ("c", \.cost),
    ]

    /// How long usage is kept, in ms: 13 months and a day.
    static let lifetime: Int64 = 397 * 86_400_000

    func command(_ keys: RedisKeys, node: String) -> RedisCommand {
        var command = RedisCommand(evaluating: StoreScripts.addUsage, key: keys.usage(user, day))
        command.append(node)
        command.append(serial)
        command.append(Self.lifetime)
        let total = total
        for (row, amounts) in rows {
            let prefix = "\(row.route)\0\(row.upstream)\0"
            for (name, path) in Self.fields where amounts[keyPath: path] != 0 {
                command.append(prefix + name)
                command.append(amounts[keyPath: path])
            }
        }
        for (name, path) in Self.fields where total[keyPath: path] != 0 {
            command.append(name)
            command.append(total[keyPath: path])
        }
        return command
    }

    /// Creates the query of a day's totals.
    static func query(_ keys: RedisKeys, user: String, day: UTCDay) -> RedisCommand {
        var command = RedisCommand("HMGET")
        command.append(key: keys.usage(user, day))
        for (name, _) in fields { command.append(name) }
        return command
    }

    /// Parses the totals of a day.
    static func totals(_ reply: RedisReply) -> UsageAmounts {
        let numbers = (reply.elements ?? []).map { $0.number ?? 0 }
        guard numbers.count == 6 else { return .zero }
        return amounts(numbers)
    }

    /// - Parameter numbers: six numbers in the order of the fields
    static func amounts(_ numbers: [Int64]) -> UsageAmounts {
        var amounts = UsageAmounts(messages: numbers[0])
        amounts.audioIn = numbers[1]
        amounts.audioOut = numbers[2]
        amounts.inputTokens = numbers[3]
        amounts.outputTokens = numbers[4]
        amounts.cost = numbers[5]
        return amounts
    }

    /// Parses the rows of a day from all fields of its hash.
    static func rows(_ reply: RedisReply, user: String, day: UTCDay) -> [UsageRow: UsageAmounts] {
        let elements = reply.elements ?? []
        var rows: [UsageRow: [Int64]] = [:]
        for index in stride(from: 0, to: elements.count - 1, by: 2) {
            let parts = (elements[index].text ?? "").split(separator: "\0", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3, let position = fields.firstIndex(where: { $0.name == parts[2] }) else { continue }
            let row = UsageRow(user: user, day: day, route: parts[0], upstream: parts[1])
            rows[row, default: [0, 0, 0, 0, 0, 0]][position] = elements[index + 1].number ?? 0
        }
        return rows.mapValues(amounts)
    }
}
