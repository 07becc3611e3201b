extension TextSlice {
    /// Appends the text, unescaped and sanitized: ``count`` bytes of UTF-8. `span` is the one that was scanned.
    package func append(to bytes: inout [UInt8], from span: RawSpan) {
        if isVerbatim {
            bytes.append(bytesOf: span.extracting(start..<start &+ rawCount))
            return
        }
        append(sanitized: true, to: &bytes, from: span)
    }

    /// The text, unescaped and sanitized.
    package func bytes(in span: RawSpan) -> [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes, from: span)
        return bytes
    }

    /// Appends the text unescaped, as keys are compared, or sanitized as well.
    func append(sanitized: Bool, to bytes: inout [UInt8], from span: RawSpan) {
        // Unescaping makes nothing longer. What it comes to in the end is known of texts, and those are what is kept.
        bytes.append(addingCapacity: (sanitized ? count : rawCount) &+ ByteBlock.scalarCount) { output in
            // The closure says how many bytes it has written.
            unsafe output.withUnsafeMutableBufferPointer { target, written in
                written = unsafe unescape(to: target, sanitized: sanitized, from: span)
            }
        }
    }

    /// Copies blocks as they are, and goes back to where one has something that doesn't stand for itself. The string was scanned: escapes are
    /// whole, and if not, the text ends there.
    private func unescape(to target: UnsafeMutableBufferPointer<UInt8>, sanitized: Bool, from span: RawSpan) -> Int {
        let end = min(start &+ rawCount, span.byteCount)
        // Each step writes a block at most.
        let room = target.count &- ByteBlock.scalarCount
        guard let base = target.baseAddress else { return 0 }
        var offset = start
        var count = 0
        while offset < end, count <= room {
            if end &- offset >= ByteBlock.scalarCount {
                let block = span.block(at: offset)
                unsafe UnsafeMutableRawPointer(base + count).storeBytes(of: block, as: ByteBlock.self)
                let found = BlockMask(
                    block.equal(to: UInt8(ascii: "\\")) .| block.equal(to: 0x7F) .| block.equal(to: Sanitizing.leadOfC1))
                // A branch that is foreseen: the next block needn't wait until it is known how far this one went.
                if found.isEmpty {
                    offset &+= ByteBlock.scalarCount
                    count &+= ByteBlock.scalarCount
                    continue
                }
                offset &+= found.first
                count &+= found.first
            }
            switch span.byte(at: offset) {
            case UInt8(ascii: "\\"):
                guard let escape = try? JSONEscape(in: span, at: offset) else { return count }
                offset &+= escape.rawCount
                if !(sanitized && Sanitizing.removes(escape.scalar)) { unsafe Self.write(escape.scalar, to: base, &count) }
            case 0x7F where sanitized:
                offset &+= 1
            case Sanitizing.leadOfC1 where sanitized && end &- offset >= 2 && span.byte(at: offset &+ 1) < 0xA0:
                offset &+= 2
            case let byte:
                unsafe base[count] = byte
                count &+= 1
                offset &+= 1
            }
        }
        return count
    }

    /// Writes a scalar value as UTF-8 (RFC 3629 §3), 1 to 4 bytes.
    @inline(__always)
    private static func write(_ scalar: UInt32, to base: UnsafeMutablePointer<UInt8>, _ count: inout Int) {
        func put(_ bits: UInt32) {
            unsafe base[count] = UInt8(truncatingIfNeeded: bits)
            count &+= 1
        }
        switch scalar {
        case 0..<0x80: put(scalar)
        case 0..<0x800:
            put(0xC0 | scalar &>> 6)
            put(0x80 | scalar & 0x3F)
        case 0..<0x1_0000:
            put(0xE0 | scalar &>> 12)
            put(0x80 | scalar &>> 6 & 0x3F)
            put(0x80 | scalar & 0x3F)
        default:
            put(0xF0 | scalar &>> 18)
            put(0x80 | scalar &>> 12 & 0x3F)
            put(0x80 | scalar &>> 6 & 0x3F)
            put(0x80 | scalar & 0x3F)
        }
    }
}

extension NumberSlice {
    /// Appends the number as it was written.
    package func append(to bytes: inout [UInt8], from span: RawSpan) {
        bytes.append(bytesOf: span.extracting(start..<start &+ count))
    }
}
