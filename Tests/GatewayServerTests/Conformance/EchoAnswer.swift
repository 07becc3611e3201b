/// All that `/echo` has sent, sorted. The order of messages among themselves counts, and that of pongs; a pong may overtake a message.
struct EchoAnswer: Equatable {
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
    /// The last frame of the connection, and that the connection ended behind it.
    var close: Close?

    static func echo(_ messages: Message..., pongs: [[UInt8]] = []) -> EchoAnswer {
        EchoAnswer(messages: messages, pongs: pongs)
    }

    static func closed(_ code: UInt16, behind messages: [Message] = [], pongs: [[UInt8]] = []) -> EchoAnswer {
        EchoAnswer(messages: messages, pongs: pongs, close: .code(code))
    }
}
