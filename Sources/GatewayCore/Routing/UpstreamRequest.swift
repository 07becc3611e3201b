// SPDX-License-Identifier: Apache-2.0

/// A request to an upstream: an accepted `text` or `audio` of a client, copied out of the message and sanitized, or the output of an
/// earlier stage.
///
/// A value type with copy-on-write storage: a change doesn't affect other copies, so a request can be sent to another event loop.
package struct UpstreamRequest: @unchecked Sendable {
    package enum Input: Sendable {
        case text([UInt8])
        /// A complete recording.
        case recording(AudioFormat, [UInt8])
        /// A stream; its chunks follow, then its end.
        case audio(AudioFormat)

        /// The size of the contained input in bytes.
        package var byteCount: Int {
            switch self {
            case .text(let text): text.count
            case .recording(_, let recording): recording.count
            case .audio: 0
            }
        }

        package var isRecording: Bool { if case .recording = self { true } else { false } }
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

    private struct Fields {
        var key: RequestKey
        var id: MessageID
        var input: Input
        var lang: [UInt8]?
        var stream: Bool
        var output: Output
        var meta: [Meta]
        var path: String
        var access: RequestAccess?
        var origin: TraceOrigin?
        var trace: TraceContext?
        var session = ULID(high: 0, low: 0)
        var route = ""
        var conversation: [ConversationLine] = []
        var whisper: [UInt8] = []
    }

    /// The shared fields: a request passes through many layers, and copying one reference is cheaper than copying all fields.
    private final class Storage {
        var fields: Fields

        init(_ fields: Fields) { self.fields = fields }
    }

    private var storage: Storage

    package init(
        key: RequestKey, id: MessageID, input: Input, lang: [UInt8]?, stream: Bool, output: Output, meta: [Meta], path: String = "",
        access: RequestAccess? = nil, origin: TraceOrigin? = nil
    ) {
        storage = Storage(
            Fields(
                key: key, id: id, input: input, lang: lang, stream: stream, output: output, meta: meta, path: path, access: access,
                origin: origin))
    }

    /// Returns storage that isn't shared with other copies, and thus can be changed.
    private mutating func uniqueStorage() -> Storage {
        if !isKnownUniquelyReferenced(&storage) { storage = Storage(storage.fields) }
        return storage
    }

    package var key: RequestKey {
        get { storage.fields.key }
        set { uniqueStorage().fields.key = newValue }
    }
    package var id: MessageID {
        get { storage.fields.id }
        set { uniqueStorage().fields.id = newValue }
    }
    package var input: Input {
        get { storage.fields.input }
        set { uniqueStorage().fields.input = newValue }
    }
    package var lang: [UInt8]? {
        get { storage.fields.lang }
        set { uniqueStorage().fields.lang = newValue }
    }
    /// Whether a text response may be sent in deltas.
    package var stream: Bool {
        get { storage.fields.stream }
        set { uniqueStorage().fields.stream = newValue }
    }
    package var output: Output {
        get { storage.fields.output }
        set { uniqueStorage().fields.output = newValue }
    }
    package var meta: [Meta] {
        get { storage.fields.meta }
        set { uniqueStorage().fields.meta = newValue }
    }
    /// The path that the client is connected to.
    package var path: String {
        get { storage.fields.path }
        set { uniqueStorage().fields.path = newValue }
    }
    /// The user and the claims of the client; nil without authentication.
    package var access: RequestAccess? { storage.fields.access }
    /// The trace of the client's connection; nil without tracing.
    package var origin: TraceOrigin? { storage.fields.origin }
    /// The span of the attempt, for the upstream; nil without tracing.
    package var trace: TraceContext? {
        get { storage.fields.trace }
        set { uniqueStorage().fields.trace = newValue }
    }
    /// The session of the request; zero until the request is routed.
    package var session: ULID {
        get { storage.fields.session }
        set { uniqueStorage().fields.session = newValue }
    }
    /// The name of the route; empty until the request is routed.
    package var route: String {
        get { storage.fields.route }
        set { uniqueStorage().fields.route = newValue }
    }
    /// The conversation before the request, oldest line first; empty if the route sends none.
    package var conversation: [ConversationLine] {
        get { storage.fields.conversation }
        set { uniqueStorage().fields.conversation = newValue }
    }

    /// The text of operators that only the upstream gets; empty for none. Not stored.
    package var whisper: [UInt8] {
        get { storage.fields.whisper }
        set { uniqueStorage().fields.whisper = newValue }
    }

    /// The approximate size of everything except the input, in bytes.
    package var extraBytes: Int {
        meta.reduce((lang?.count ?? 0) + (output.voice?.count ?? 0)) { $0 + $1.key.count + $1.value.count + 64 }
    }

    package func meta(_ key: StaticString) -> [UInt8]? {
        for entry in meta where entry.key.elementsEqual(String(describing: key).utf8) { return entry.value }
        return nil
    }

    /// The text; nil for audio.
    package var text: [UInt8]? { if case .text(let text) = input { text } else { nil } }
    package var isText: Bool { if case .text = input { true } else { false } }
    package var isRecording: Bool { input.isRecording }
    package var isStreamed: Bool { if case .audio = input { true } else { false } }
}
