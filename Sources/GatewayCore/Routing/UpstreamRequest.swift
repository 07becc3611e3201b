/// A request to an upstream: one accepted `text` or `audio` of a client, owned and sanitized, or the output of an earlier stage.
package struct UpstreamRequest: Sendable {
    package enum Input: Sendable {
        case text([UInt8])
        /// A whole recording.
        case recording(AudioFormat, [UInt8])
        /// Chunks follow, then their end.
        case audio(AudioFormat)

        /// Bytes that it holds.
        package var byteCount: Int {
            switch self {
            case .text(let text): text.count
            case .recording(_, let recording): recording.count
            case .audio: 0
            }
        }
    }

    package struct Meta: Sendable {
        package var key: [UInt8]
        package var value: [UInt8]

        package init(key: [UInt8], value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    package struct Output: Sendable {
        package var text = true
        package var audio = false
        package var format: AudioFormat?
        package var voice: [UInt8]?

        package init() {}
    }

    package var key: RequestKey
    package var id: MessageID
    package var input: Input
    package var lang: [UInt8]?
    /// Whether a text response may come in deltas.
    package var stream: Bool
    package var output: Output
    package var meta: [Meta]
    /// The path that the client is connected to.
    package var path: String
    /// The session of the request; zero until it is routed.
    package var session = ULID(high: 0, low: 0)
    /// The name of its route; empty until it is routed.
    package var route = ""
    /// The conversation before the request, the oldest line first, as far as its route sends any.
    package var conversation: [ConversationLine] = []

    package init(
        key: RequestKey, id: MessageID, input: Input, lang: [UInt8]?, stream: Bool, output: Output, meta: [Meta], path: String = ""
    ) {
        self.key = key
        self.id = id
        self.input = input
        self.lang = lang
        self.stream = stream
        self.output = output
        self.meta = meta
        self.path = path
    }

    /// Bytes of everything but the text.
    package var extraBytes: Int {
        meta.reduce((lang?.count ?? 0) + (output.voice?.count ?? 0)) { $0 + $1.key.count + $1.value.count + 64 }
    }

    package func meta(_ key: StaticString) -> [UInt8]? {
        for entry in meta where entry.key.elementsEqual(String(describing: key).utf8) { return entry.value }
        return nil
    }

    package var isText: Bool { if case .text = input { true } else { false } }
    package var isRecording: Bool { if case .recording = input { true } else { false } }
    package var isStreamed: Bool { if case .audio = input { true } else { false } }
}
