/// The limits that ``MessageScanner`` enforces, made once from the configuration (`messages.*`).
///
/// A size of 0 turns that limit off, as everywhere in the configuration.
package struct ValidationRules: Sendable {
    /// How deep JSON may nest at most, whatever the configuration says: open containers are remembered in the bits of one word.
    package static let deepestNesting = 64

    /// `messages.max_bytes`: any message but audio with `data`, raw.
    package let maxBytes: Int
    /// `messages.max_text_bytes`: a text, after unescaping and sanitizing.
    package let maxTextBytes: Int
    /// `messages.audio_max_bytes`: the recording of an `audio` message, decoded.
    package let audioMaxBytes: Int
    /// `messages.max_depth`: 1 is the message itself. 1 to ``deepestNesting``.
    package let maxDepth: Int
    /// `messages.unknown_fields: reject`.
    package let rejectsUnknownFields: Bool

    package init(
        maxBytes: Int = 256_000, maxTextBytes: Int = 100_000, audioMaxBytes: Int = 1_000_000, maxDepth: Int = 16,
        rejectsUnknownFields: Bool = false
    ) {
        self.maxBytes = maxBytes > 0 ? maxBytes : .max
        self.maxTextBytes = maxTextBytes > 0 ? maxTextBytes : .max
        self.audioMaxBytes = audioMaxBytes > 0 ? audioMaxBytes : .max
        self.maxDepth = maxDepth > 0 ? min(maxDepth, Self.deepestNesting) : Self.deepestNesting
        self.rejectsUnknownFields = rejectsUnknownFields
    }
}
