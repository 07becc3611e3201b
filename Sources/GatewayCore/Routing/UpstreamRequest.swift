/// What an upstream is asked: one accepted `text` or `audio` of a client, owned and sanitized.
package struct UpstreamRequest: Sendable {
    package enum Input: Sendable {
        case text([UInt8])
        /// Chunks follow, then their end.
        case audio(AudioFormat)
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
    /// Whether a text answer may come in deltas.
    package var stream: Bool
    package var output: Output
    package var meta: [Meta]
    /// The path that its client had connected to.
    package var path: String

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
}
