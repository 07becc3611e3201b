/// The output of a process: lines of JSON, and where a line announces it, so many bytes of audio behind it.
package struct AnswerLines: Sendable {
    /// Bytes of a line, at most.
    package let limit: Int
    private var line: [UInt8] = []
    private var chunk: [UInt8] = []
    /// Bytes of the chunk that haven't come; 0 within lines.
    private var missing = 0

    package init(limit: Int) { self.limit = min(limit, .max / 4) }

    /// Whether something has begun that isn't complete.
    package var isWithin: Bool { missing > 0 || !line.isEmpty }
    package var heldBytes: Int { line.capacity + chunk.capacity }

    /// - Parameters:
    ///   - onLine: is handed each line, and says how many bytes of audio follow it
    ///   - onChunk: is handed those
    /// - Throws: when a line is longer than ``limit``: refused before it is kept.
    package mutating func take(
        _ bytes: RawSpan, onLine: (RawSpan) throws(AnswerFault) -> Int, onChunk: ([UInt8]) throws(AnswerFault) -> Void
    ) throws(AnswerFault) {
        var offset = 0
        while offset < bytes.byteCount {
            if missing > 0 {
                let count = min(missing, bytes.byteCount - offset)
                chunk.append(bytesOf: bytes.extracting(offset..<offset + count))
                offset += count
                missing -= count
                guard missing == 0 else { return }
                let whole = chunk
                chunk = []
                try onChunk(whole)
                continue
            }
            var end = offset
            while end < bytes.byteCount, bytes.byte(at: end) != 0x0A { end += 1 }
            guard line.count + end - offset <= limit else { throw AnswerFault("a line is longer than max_message_bytes", kind: .tooLong) }
            line.append(bytesOf: bytes.extracting(offset..<end))
            guard end < bytes.byteCount else { return }
            offset = end + 1
            defer { line.removeAll(keepingCapacity: line.capacity <= 4096) }
            // Empty lines say nothing.
            guard line.contains(where: { $0 > 0x20 }) else { continue }
            // `UInt8` has no padding that could be read.
            missing = try onLine(unsafe line.span.bytes)
        }
    }
}
