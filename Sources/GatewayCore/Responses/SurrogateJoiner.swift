// SPDX-License-Identifier: Apache-2.0

/// A filter that joins surrogate pairs split between two deltas of a text.
///
/// Servers that split text by UTF-16 code units send the high surrogate at the end of one delta and the low surrogate at the beginning of
/// the next. A surrogate alone is read as U+FFFD.
struct SurrogateJoiner: Sendable {
    /// The lone surrogates at the ends of a JSON string.
    struct Halves: Sendable {
        /// A low surrogate that the string begins with.
        var leadingLow: UInt32?
        /// A high surrogate that the string ends with.
        var trailingHigh: UInt32?
    }

    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]
    /// The high surrogate that was held back at the end of the last delta.
    private var high: UInt32?

    /// Joins a delta with the previous one.
    ///
    /// - Parameters:
    ///   - text: the delta, with U+FFFD for each lone surrogate
    ///   - halves: the lone surrogates at the ends of the delta
    /// - Returns: the delta, with the joined character at its beginning; a high surrogate at its end is held back
    mutating func join(_ text: [UInt8], _ halves: Halves) -> [UInt8] {
        guard high != nil || halves.trailingHigh != nil else { return text }
        // An empty delta doesn't separate the halves of a pair.
        guard !text.isEmpty else { return text }
        var joined: [UInt8] = []
        var rest = text[...]
        if let high {
            self.high = nil
            if let low = halves.leadingLow, rest.starts(with: Self.replacement) {
                rest = rest.dropFirst(Self.replacement.count)
                let scalar = 0x1_0000 &+ (high &- 0xD800) &<< 10 &+ (low &- 0xDC00)
                for shift in [18, 12, 6, 0] as [UInt32] {
                    joined.append(UInt8(truncatingIfNeeded: shift == 18 ? 0xF0 | scalar &>> 18 : 0x80 | scalar &>> shift & 0x3F))
                }
            } else {
                joined = Self.replacement
            }
        }
        if let trailing = halves.trailingHigh, rest.suffix(Self.replacement.count).elementsEqual(Self.replacement) {
            rest = rest.dropLast(Self.replacement.count)
            high = trailing
        }
        return joined + rest
    }

    /// Ends the text.
    ///
    /// - Returns: U+FFFD if a high surrogate is held back; empty otherwise
    mutating func finish() -> [UInt8] {
        guard high != nil else { return [] }
        high = nil
        return Self.replacement
    }
}

extension JSONDocument {
    /// Returns the lone surrogates at the ends of a string.
    func halves(of value: JSONValue) -> SurrogateJoiner.Halves {
        var halves = SurrogateJoiner.Halves()
        guard value.kind == .string, value.hasLoneSurrogate else { return halves }
        withBytes { bytes in
            if let unit = JSONEscape.unit(in: bytes, at: value.start), (0xDC00..<0xE000).contains(unit) { halves.leadingLow = unit }
            var offset = value.start
            while offset < value.end {
                guard bytes.byte(at: offset) == UInt8(ascii: "\\") else {
                    offset &+= 1
                    continue
                }
                guard let escape = try? JSONEscape(in: bytes, at: offset) else { return }
                if escape.isLoneSurrogate, offset &+ escape.rawCount == value.end, let unit = JSONEscape.unit(in: bytes, at: offset),
                    unit < 0xDC00
                {
                    halves.trailingHigh = unit
                }
                offset &+= escape.rawCount
            }
        }
        return halves
    }
}
