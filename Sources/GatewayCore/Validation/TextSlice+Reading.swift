// SPDX-License-Identifier: Apache-2.0

extension TextSlice {
    /// Appends the text, unescaped and sanitized: ``count`` bytes of UTF-8. `span` is the scanned message.
    package func append(to bytes: inout [UInt8], from span: RawSpan) {
        if isVerbatim {
            bytes.append(bytesOf: span.extracting(start..<start &+ rawCount))
            return
        }
        append(sanitized: true, to: &bytes, from: span)
    }

    /// Returns the text, unescaped and sanitized.
    package func bytes(in span: RawSpan) -> [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes, from: span)
        return bytes
    }

    /// Appends the text unescaped, and optionally sanitized; keys are compared unsanitized.
    func append(sanitized: Bool, to bytes: inout [UInt8], from span: RawSpan) {
        // Unescaping never lengthens a text. The exact size is known only for sanitized texts, and only those are stored.
        bytes.append(addingCapacity: (sanitized ? count : rawCount) &+ ByteBlock.scalarCount) { output in
            // The closure reports how many bytes it has initialized.
            unsafe output.withUnsafeMutableBufferPointer { target, written in
                written = unsafe unescape(to: target, sanitized: sanitized, from: span)
            }
        }
    }

    /// Copies whole blocks, and steps back to the first byte of a block that can't be copied verbatim. All escapes are complete, because
    /// the string was scanned; an incomplete escape would end the text.
    private func unescape(to target: UnsafeMutableBufferPointer<UInt8>, sanitized: Bool, from span: RawSpan) -> Int {
        let end = min(start &+ rawCount, span.byteCount)
        // Each step writes at most one block.
        let room = target.count &- ByteBlock.scalarCount
        guard let base = target.baseAddress else { return 0 }
        var offset = start
        var count = 0
        while offset < end, count <= room {
            if end &- offset >= ByteBlock.scalarCount {
                let block = span.block(at: offset)
                unsafe UnsafeMutableRawPointer(base + count).storeBytes(of: block, as: ByteBlock.self)
                let found = BlockMask(
                    block.equal(to: UInt8(ascii: "\\")) .| block.equal(to: 0x7F) .| block.equal(to: Sanitizing.c1LeadByte))
                // A predictable branch: the CPU continues with the next block before it knows how much of this one was copied.
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
            case Sanitizing.c1LeadByte where sanitized && end &- offset >= 2 && span.byte(at: offset &+ 1) < 0xA0:
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
    /// Appends the number verbatim.
    package func append(to bytes: inout [UInt8], from span: RawSpan) {
        bytes.append(bytesOf: span.extracting(start..<start &+ count))
    }
}
