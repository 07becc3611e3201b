// SPDX-License-Identifier: Apache-2.0

/// The limits that ``MessageScanner`` enforces, from the configuration (`messages.*`).
///
/// A size of 0 disables the limit, as everywhere in the configuration.
package struct ValidationRules: Sendable {
    /// The maximum JSON nesting depth regardless of the configuration: `JSONReader` has one bit of a 64-bit word for each open container.
    package static let maximumNesting = 64

    /// `messages.max_bytes`: the raw size of any message except audio with `data`.
    package let maxBytes: Int
    /// `messages.max_text_bytes`: the size of a text after unescaping and sanitizing.
    package let maxTextBytes: Int
    /// `messages.audio_max_bytes`: the decoded size of the recording in an `audio` message.
    package let audioMaxBytes: Int
    /// `messages.max_depth`: 1 to ``maximumNesting``, where the message itself is 1.
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
        self.maxDepth = maxDepth > 0 ? min(maxDepth, Self.maximumNesting) : Self.maximumNesting
        self.rejectsUnknownFields = rejectsUnknownFields
    }
}
