/// One JSON value of a scanned message: its kind, and where it lies.
struct JSONValue {
    enum Kind: UInt8 {
        case null, `true`, `false`, integer, fraction, string, object, array
    }

    var kind: Kind
    /// A string with half of a surrogate pair, which only unknown fields may hold.
    var hasLoneSurrogate: Bool
    private var storedStart: UInt32
    private var storedEnd: UInt32
    private var storedCount: UInt32

    /// Of a string, what is between the quotes; of all others, the whole literal. Spans over 4 GiB are refused before they are scanned.
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
    /// Bytes of a string, unescaped and sanitized.
    var count: Int { Int(storedCount) }
    /// Every escape is longer than what it stands for, so equal counts mean equal bytes.
    var isVerbatim: Bool { rawCount == count }

    var text: TextSlice { TextSlice(start: start, rawCount: rawCount, count: count, isVerbatim: isVerbatim) }
}
