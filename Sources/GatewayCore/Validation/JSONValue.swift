// SPDX-License-Identifier: Apache-2.0

/// The kind and the position of a JSON value in a scanned message.
struct JSONValue {
    enum Kind: UInt8 {
        case null, `true`, `false`, integer, fraction, string, object, array
    }

    var kind: Kind
    /// Whether the string contains a lone surrogate, which is accepted only in unknown fields.
    var hasLoneSurrogate: Bool
    private var storedStart: UInt32
    private var storedEnd: UInt32
    private var storedCount: UInt32

    /// The range is between the quotes for a string, and the whole value otherwise. Spans over 4 GiB are rejected before they are scanned.
    init(_ kind: Kind, start: Int, end: Int, count: Int = 0, hasLoneSurrogate: Bool = false) {
        self.kind = kind
        self.hasLoneSurrogate = hasLoneSurrogate
        self.storedStart = UInt32(truncatingIfNeeded: start)
        self.storedEnd = UInt32(truncatingIfNeeded: end)
        self.storedCount = UInt32(truncatingIfNeeded: count)
    }

    static var absent: Self { Self(.null, start: 0, end: 0) }

    var start: Int { Int(storedStart) }
    var end: Int { Int(storedEnd) }
    var rawCount: Int { end &- start }
    /// The size of a string after unescaping and sanitizing, in bytes.
    var count: Int { Int(storedCount) }
    /// Whether the raw bytes equal the text. Every escape is longer than its scalar, so equal counts mean equal bytes.
    var isVerbatim: Bool { rawCount == count }

    var text: TextSlice { TextSlice(start: start, rawCount: rawCount, count: count, isVerbatim: isVerbatim) }
}
