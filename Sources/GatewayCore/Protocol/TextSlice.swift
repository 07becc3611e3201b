/// A JSON string inside a scanned message: where it lies, and what it becomes once unescaped and sanitized.
package struct TextSlice: Hashable, Sendable {
    /// Offset of the first byte after the opening quote.
    package var start: Int
    /// Raw bytes between the quotes.
    package var rawCount: Int
    /// Bytes of UTF-8 after unescaping and sanitizing: what limits are measured against.
    package var count: Int
    /// Whether the raw bytes are already the text: no escape, nothing to remove.
    package var isVerbatim: Bool

    package init(start: Int, rawCount: Int, count: Int, isVerbatim: Bool) {
        self.start = start
        self.rawCount = rawCount
        self.count = count
        self.isVerbatim = isVerbatim
    }
}

/// A JSON number inside a scanned message, echoed as it was written.
package struct NumberSlice: Hashable, Sendable {
    package var start: Int
    package var count: Int

    package init(start: Int, count: Int) {
        self.start = start
        self.count = count
    }
}
