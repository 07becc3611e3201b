/// A request to an upstream: one accepted `text` or `audio` of a client, owned and sanitized, or the output of an earlier stage.
///
/// A value: changes to a copy aren't seen by others, which is why it can be sent to another event loop although its fields are shared.
package struct UpstreamRequest: @unchecked Sendable {
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

    /// The fields: a request is handed on from layer to layer, and one reference is cheaper to copy than all of them.
    private final class Fields {
        var key: RequestKey
        var id: MessageID
        var input: Input
        var lang: [UInt8]?
        var stream: Bool
        var output: Output
        var meta: [Meta]
        var path: String
        var session: ULID
        var route: String
        var conversation: [ConversationLine]

        init(_ request: Fields) {
            key = request.key
            id = request.id
            input = request.input
            lang = request.lang
            stream = request.stream
            output = request.output
            meta = request.meta
            path = request.path
            session = request.session
            route = request.route
            conversation = request.conversation
        }

        init(
            key: RequestKey, id: MessageID, input: Input, lang: [UInt8]?, stream: Bool, output: Output, meta: [Meta], path: String
        ) {
            self.key = key
            self.id = id
            self.input = input
            self.lang = lang
            self.stream = stream
            self.output = output
            self.meta = meta
            self.path = path
            session = ULID(high: 0, low: 0)
            route = ""
            conversation = []
        }
    }

    private var fields: Fields

    package init(
        key: RequestKey, id: MessageID, input: Input, lang: [UInt8]?, stream: Bool, output: Output, meta: [Meta], path: String = ""
    ) {
        fields = Fields(key: key, id: id, input: input, lang: lang, stream: stream, output: output, meta: meta, path: path)
    }

    /// The fields, for a change that other copies of the request don't see.
    private mutating func ownFields() -> Fields {
        if !isKnownUniquelyReferenced(&fields) { fields = Fields(fields) }
        return fields
    }

    package var key: RequestKey {
        get { fields.key }
        set { ownFields().key = newValue }
    }
    package var id: MessageID {
        get { fields.id }
        set { ownFields().id = newValue }
    }
    package var input: Input {
        get { fields.input }
        set { ownFields().input = newValue }
    }
    package var lang: [UInt8]? {
        get { fields.lang }
        set { ownFields().lang = newValue }
    }
    /// Whether a text response may come in deltas.
    package var stream: Bool {
        get { fields.stream }
        set { ownFields().stream = newValue }
    }
    package var output: Output {
        get { fields.output }
        set { ownFields().output = newValue }
    }
    package var meta: [Meta] {
        get { fields.meta }
        set { ownFields().meta = newValue }
    }
    /// The path that the client is connected to.
    package var path: String {
        get { fields.path }
        set { ownFields().path = newValue }
    }
    /// The session of the request; zero until it is routed.
    package var session: ULID {
        get { fields.session }
        set { ownFields().session = newValue }
    }
    /// The name of its route; empty until it is routed.
    package var route: String {
        get { fields.route }
        set { ownFields().route = newValue }
    }
    /// The conversation before the request, the oldest line first, as far as its route sends any.
    package var conversation: [ConversationLine] {
        get { fields.conversation }
        set { ownFields().conversation = newValue }
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
