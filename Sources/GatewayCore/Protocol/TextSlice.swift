// SPDX-License-Identifier: Apache-2.0

/// The position of a JSON string in a scanned message, and its size after unescaping and sanitizing.
package struct TextSlice: Hashable, Sendable {
    /// Offset of the first byte after the opening quote.
    package var start: Int
    /// The number of raw bytes between the quotes.
    package var rawCount: Int
    /// The number of bytes of UTF-8 after unescaping and sanitizing; limits apply to this size.
    package var count: Int
    /// Whether the raw bytes equal the text: no escapes, no characters to remove.
    package var isVerbatim: Bool

    package init(start: Int, rawCount: Int, count: Int, isVerbatim: Bool) {
        self.start = start
        self.rawCount = rawCount
        self.count = count
        self.isVerbatim = isVerbatim
    }
}

/// The position of a JSON number in a scanned message. The gateway echoes the number verbatim.
package struct NumberSlice: Hashable, Sendable {
    package var start: Int
    package var count: Int

    package init(start: Int, count: Int) {
        self.start = start
        self.count = count
    }
}
