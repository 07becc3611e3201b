extension JSONReader {
    /// Skips valid UTF-8 from a byte that isn't ASCII to one that a string can't simply contain (quote, backslash, control, DEL),
    /// or to plain text. Returns how many bytes of it sanitizing removes.
    ///
    /// RFC 3629 §3: no overlong form, no surrogate, nothing above U+10FFFF.
    mutating func skipUTF8(in bytes: RawSpan) throws(JSONSyntaxError) -> Int {
        var removed = 0
        // The blocks look three bytes back, at what was found valid already.
        while position >= 3, bytes.byteCount &- position >= 16 {
            let check = UTF8Block(in: bytes, at: position)
            let stop = check.special.first
            // The stopping byte itself is ASCII: an error in it is a sequence cut short before it.
            guard check.errors.isEmpty || check.errors.first > stop else {
                throw JSONSyntaxError(.badUTF8, at: position &+ check.errors.first)
            }
            removed &+= 2 &* check.c1.count(before: stop)
            position &+= stop
            if stop < 16 || check.isASCII { return removed }
        }
        // What is left is shorter than a block. A sequence may be open: its continuation is checked again, with its start.
        position = startOfOpenSequence(in: bytes)
        while position < bytes.byteCount, bytes.byte(at: position) >= 0x80 {
            let count = Self.sequenceCount(in: bytes, at: position)
            guard count > 0 else { throw JSONSyntaxError(.badUTF8, at: position) }
            if count == 2, bytes.byte(at: position) == 0xC2, bytes.byte(at: position &+ 1) < 0xA0 { removed &+= 2 }
            position &+= count
        }
        return removed
    }

    /// The position, or the start of the sequence that began less than its own length before it.
    private func startOfOpenSequence(in bytes: RawSpan) -> Int {
        if position >= 1, bytes.byte(at: position &- 1) >= 0xC0 { return position &- 1 }
        if position >= 2, bytes.byte(at: position &- 2) >= 0xE0 { return position &- 2 }
        if position >= 3, bytes.byte(at: position &- 3) >= 0xF0 { return position &- 3 }
        return position
    }

    /// Bytes of the sequence at `offset`, 0 when it isn't a valid one of two to four.
    private static func sequenceCount(in bytes: RawSpan, at offset: Int) -> Int {
        let rest = bytes.byteCount &- offset
        guard rest >= 2 else { return 0 }
        let second = bytes.byte(at: offset &+ 1)
        let allowed: ClosedRange<UInt8>
        let count: Int
        switch bytes.byte(at: offset) {
        case 0xC2...0xDF: (count, allowed) = (2, 0x80...0xBF)
        case 0xE0: (count, allowed) = (3, 0xA0...0xBF)
        case 0xED: (count, allowed) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (count, allowed) = (3, 0x80...0xBF)
        case 0xF0: (count, allowed) = (4, 0x90...0xBF)
        case 0xF4: (count, allowed) = (4, 0x80...0x8F)
        case 0xF1...0xF3: (count, allowed) = (4, 0x80...0xBF)
        default: return 0
        }
        guard rest >= count, allowed.contains(second) else { return 0 }
        for index in 2..<max(2, count) where bytes.byte(at: offset &+ index) & 0xC0 != 0x80 { return 0 }
        return count
    }
}

/// Sixteen bytes of a string, checked together with the three before them.
private struct UTF8Block {
    /// Quote, backslash, controls, DEL.
    let special: BlockMask
    /// Where a byte isn't what the bytes before it demand.
    let errors: BlockMask
    /// The second bytes of C1 controls.
    let c1: BlockMask
    let isASCII: Bool

    @inline(__always)
    init(in bytes: RawSpan, at offset: Int) {
        let byte = bytes.block(at: offset)
        let before = bytes.block(at: offset &- 1)
        let before2 = bytes.block(at: offset &- 2)
        let before3 = bytes.block(at: offset &- 3)

        let isContinuation = byte.atLeast(0x80) .& byte.below(0xC0)
        let mustContinue = before.atLeast(0xC0) .| before2.atLeast(0xE0) .| before3.atLeast(0xF0)
        let overlong = before.equal(to: 0xE0) .& byte.below(0xA0) .| before.equal(to: 0xF0) .& byte.below(0x90)
        let beyond = before.equal(to: 0xED) .& byte.atLeast(0xA0) .| before.equal(to: 0xF4) .& byte.atLeast(0x90)
        let never = byte.equal(to: 0xC0) .| byte.equal(to: 0xC1) .| byte.atLeast(0xF5)
        errors = BlockMask(isContinuation .^ mustContinue .| overlong .| beyond .| never)
        c1 = BlockMask(before.equal(to: 0xC2) .& byte.below(0xA0))
        let quoting = byte.equal(to: UInt8(ascii: "\"")) .| byte.equal(to: UInt8(ascii: "\\"))
        special = BlockMask(quoting .| byte.below(0x20) .| byte.equal(to: 0x7F))
        isASCII = BlockMask(byte.atLeast(0x80)).isEmpty
    }
}
