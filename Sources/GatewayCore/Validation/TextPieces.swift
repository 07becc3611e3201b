/// Walks over a scanned JSON string: runs of bytes that stand for themselves, and scalars that were escaped.
struct TextPieces {
    enum Piece {
        /// Bytes of the span, as they are.
        case run(Range<Int>)
        /// What an escape stands for; the start of a UTF-8 sequence of 1 to 4 bytes.
        case scalar(UInt32)
    }

    private var position: Int
    private let end: Int
    private let isSanitizing: Bool

    init(start: Int, end: Int, isSanitizing: Bool) {
        self.position = start
        self.end = end
        self.isSanitizing = isSanitizing
    }

    /// The next piece, nil at the end. The string was scanned: escapes are whole and UTF-8 is valid, and if not, the walk ends.
    mutating func next(in bytes: RawSpan) -> Piece? {
        while position < end {
            let start = position
            var stop = start
            while true {
                stop =
                    isSanitizing
                    ? bytes.firstOffset(from: stop, to: end, of: UInt8(ascii: "\\"), or: 0x7F, or: 0xC2)
                    : bytes.firstOffset(from: stop, to: end, of: UInt8(ascii: "\\"), or: UInt8(ascii: "\\"), or: UInt8(ascii: "\\"))
                guard stop < end, bytes.byte(at: stop) == 0xC2, stop &+ 1 < end, bytes.byte(at: stop &+ 1) >= 0xA0 else { break }
                // U+00A0–U+00BF, the neighbours of the C1 controls.
                stop &+= 2
            }
            if stop > start {
                position = stop
                return .run(start..<stop)
            }
            switch bytes.byte(at: start) {
            case UInt8(ascii: "\\"):
                guard let escape = try? JSONEscape(in: bytes, at: start) else {
                    position = end
                    return nil
                }
                position = start &+ escape.rawCount
                if isSanitizing && Sanitizing.removes(escape.scalar) { continue }
                return .scalar(escape.scalar)
            case 0x7F: position = start &+ 1
            default: position = start &+ 2
            }
        }
        return nil
    }
}
