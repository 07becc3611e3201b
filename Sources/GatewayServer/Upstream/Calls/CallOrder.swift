package import GatewayCore

/// What one upstream is asked: a request, or what an earlier upstream has made of it.
package struct CallOrder: Sendable {
    package enum Input: Sendable {
        case text([UInt8])
        /// A whole recording.
        case recording(AudioFormat, [UInt8])
        /// Chunks follow, then their end.
        case stream(AudioFormat)
    }

    package var session: ULID
    package var id: MessageID
    package var route: String
    package var input: Input
    package var lang: [UInt8]?
    /// Whether a text answer may come in deltas.
    package var stream: Bool
    package var output: UpstreamRequest.Output
    package var meta: [UpstreamRequest.Meta]
    /// What was said before, the oldest first.
    package var conversation: [ConversationLine]

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
