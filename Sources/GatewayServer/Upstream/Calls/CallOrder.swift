package import GatewayCore

/// What one upstream is asked: a request, or what an earlier upstream has made of it. Many hold it, none changes it.
package final class CallOrder: Sendable {
    package enum Input: Sendable {
        case text([UInt8])
        /// A whole recording.
        case recording(AudioFormat, [UInt8])
        /// Chunks follow, then their end.
        case stream(AudioFormat)

        /// Those that it holds.
        var byteCount: Int {
            switch self {
            case .text(let text): text.count
            case .recording(_, let recording): recording.count
            case .stream: 0
            }
        }
    }

    package let session: ULID
    package let id: MessageID
    package let route: String
    package let input: Input
    package let lang: [UInt8]?
    /// Whether a text answer may come in deltas.
    package let stream: Bool
    package let output: UpstreamRequest.Output
    package let meta: [UpstreamRequest.Meta]
    /// What was said before, the oldest first.
    package let conversation: [ConversationLine]

    package init(
        session: ULID, id: MessageID, route: String, input: Input, lang: [UInt8]?, stream: Bool, output: UpstreamRequest.Output,
        meta: [UpstreamRequest.Meta], conversation: [ConversationLine]
    ) {
        self.session = session
        self.id = id
        self.route = route
        self.input = input
        self.lang = lang
        self.stream = stream
        self.output = output
        self.meta = meta
        self.conversation = conversation
    }

    /// The same with another input, and in the words of another output.
    package func asking(_ input: Input, _ output: UpstreamRequest.Output, conversation: [ConversationLine]? = nil) -> CallOrder {
        CallOrder(
            session: session, id: id, route: route, input: input, lang: lang, stream: stream, output: output, meta: meta,
            conversation: conversation ?? self.conversation)
    }

    package var isStreamed: Bool { if case .stream = input { true } else { false } }
}

/// Why a request is no longer wanted.
package enum CancelReason: String, Sendable {
    case client
    /// The session is over.
    case session
    case timeout
    /// The gateway goes down.
    case drain
    /// Another attempt was faster, or this one has failed.
    case obsolete
    /// The upstream has broken its protocol.
    case fault
}
