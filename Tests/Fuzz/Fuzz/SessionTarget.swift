// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import Support

@testable import GatewayServer
@testable import GatewayWebSocket

/// A session whose client sends valid frames with arbitrary messages at arbitrary times.
///
/// The input consists of lines. Each is a text message, unless its first byte selects another step; see `Step`.
///
/// Invariants: those of ``Conversation`` and ``ConversationLog``. If all steps are frames, the result doesn't depend on how the bytes are
/// split.
final class SessionTarget: FuzzTarget {
    private enum Step {
        case message(Opcode, [UInt8])
        /// A message in fragments of this many bytes.
        case fragments(Int, [UInt8])
        /// A number of ticks of 100 ms.
        case time(Int)
        case writable(Bool)
        case goAway
        case dropHistory
        case reload(UInt8)

        init(_ line: [UInt8]) {
            let rest = Array(line.dropFirst())
            let number = rest.first ?? 0
            switch line.first {
            case 1: self = .message(.binary, rest)
            case 2: self = .time(Int(number))
            case 3: self = .writable(number & 1 == 1)
            case 4: self = .message(.ping, Array(rest.prefix(125)))
            case 5: self = .fragments(1 + Int(number), Array(rest.dropFirst()))
            case 6: self = .goAway
            case 7: self = .dropHistory
            case 8: self = .reload(number)
            case 11: self = .message(.pong, Array(rest.prefix(125)))
            case 12: self = .message(.close, Array(rest.prefix(125)))
            default: self = .message(.text, line)
            }
        }

        /// The frames that the client sends; nil for other steps.
        var bytes: [UInt8]? {
            switch self {
            case .message(let opcode, let payload): return TestFrame(opcode.rawValue, payload).bytes
            case .fragments(let count, let payload):
                var bytes: [UInt8] = []
                for start in stride(from: 0, to: max(payload.count, 1), by: count) {
                    let end = min(payload.count, start + count)
                    let first: UInt8 = (start == 0 ? 1 : 0) | (end == payload.count ? 0x80 : 0)
                    bytes += TestFrame(first: first, Array(payload[start..<end])).bytes
                }
                return bytes
            case .time, .writable, .goAway, .dropHistory, .reload: return nil
            }
        }
    }

    func run(_ input: FuzzInput) {
        var input = input
        let policy = Policy(input.byte())
        let split = input.split()
        let steps = input.parts(separator: 0x0A, maxCount: 200).map(Step.init)
        let conversation = Conversation(policy.apply)
        conversation.send(Array(EmbeddedConnection.request(path: "/v1/ws").utf8))
        for step in steps { perform(step, in: conversation) }
        let log = conversation.log()
        compare(log, with: steps, policy: policy, split: split)
        // Lets all timers fire.
        conversation.advance(by: .seconds(3))
    }

    private func perform(_ step: Step, in conversation: Conversation) {
        switch step {
        case .message, .fragments: conversation.send(step.bytes ?? [])
        case .time(let ticks): conversation.advance(by: .milliseconds(100 * ticks))
        case .writable(let isWritable): conversation.setWritable(isWritable)
        case .goAway: conversation.perform { $0.connections.goAway(reason: "drain", deadlineMilliseconds: 100) }
        case .dropHistory: conversation.perform { _ in conversation.socket?.application.dropHistory() }
        case .reload(let bits):
            var configuration = GatewayConfiguration.defaults(for: .development)
            Policy(bits).apply(to: &configuration)
            let diff = ConfigurationDiff(from: conversation.configuration, to: configuration)
            conversation.perform { $0.apply(GatewaySettings(diff.applied)) }
        }
    }

    /// Checks that the same frames in other pieces have the same result, if the steps consist of frames only.
    private func compare(_ log: ConversationLog, with steps: [Step], policy: Policy, split: Split) {
        var bytes = Array(EmbeddedConnection.request(path: "/v1/ws").utf8)
        for step in steps {
            guard let sent = step.bytes else { return }
            bytes += sent
        }
        let pieces = split.pieces(of: bytes)
        let conversation = Conversation(policy.apply)
        for piece in pieces { conversation.send(piece) }
        let splitLog = conversation.log()
        require(log == splitLog, "the result doesn't depend on the split:\n\(log)\n\(splitLog)")
    }
}
