// SPDX-License-Identifier: Apache-2.0

/// The output of `/echo` by kind. The order of messages and the order of pongs matter, but a pong may overtake a message.
struct EchoOutput: Equatable {
    enum Message: Equatable {
        case text([UInt8])
        case binary([UInt8])

        static func text(_ string: String) -> Message { .text(Array(string.utf8)) }
    }

    enum Close: Equatable {
        case empty
        case code(UInt16)
    }

    var messages: [Message] = []
    var pongs: [[UInt8]] = []
    /// The close frame after which the connection ended; nil while it is open.
    var close: Close?

    static func echo(_ messages: Message..., pongs: [[UInt8]] = []) -> EchoOutput {
        EchoOutput(messages: messages, pongs: pongs)
    }

    static func closed(_ code: UInt16, after messages: [Message] = [], pongs: [[UInt8]] = []) -> EchoOutput {
        EchoOutput(messages: messages, pongs: pongs, close: .code(code))
    }
}
