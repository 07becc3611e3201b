// SPDX-License-Identifier: Apache-2.0

/// An incremental parser for the output of a process: lines of JSON, each followed by the number of bytes of audio that the line announces.
package struct ResponseLines: Sendable {
    /// The maximum length of a line in bytes.
    package let limit: Int
    private var line: [UInt8] = []
    private var chunk: [UInt8] = []
    /// The number of bytes missing from the current chunk; 0 outside of chunks.
    private var missing = 0

    package init(limit: Int) { self.limit = min(limit, .max / 4) }

    /// Whether a line or chunk is incomplete.
    package var isIncomplete: Bool { missing > 0 || !line.isEmpty }
    package var heldBytes: Int { line.capacity + chunk.capacity }

    /// Parses the next bytes of output.
    ///
    /// - Parameters:
    ///   - onLine: called with each line; returns the number of bytes of audio that follow the line
    ///   - onChunk: called with each complete chunk of audio
    /// - Throws: when a line exceeds ``limit``; excess bytes aren't buffered
    package mutating func receive(
        _ bytes: RawSpan, onLine: (RawSpan) throws(ResponseFault) -> Int, onChunk: ([UInt8]) throws(ResponseFault) -> Void
    ) throws(ResponseFault) {
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
            guard line.count + end - offset <= limit else { throw ResponseFault("a line is longer than max_message_bytes", kind: .tooLong) }
            line.append(bytesOf: bytes.extracting(offset..<end))
            guard end < bytes.byteCount else { return }
            offset = end + 1
            defer { line.removeAll(keepingCapacity: line.capacity <= 4096) }
            // Blank lines are ignored.
            guard line.contains(where: { $0 > 0x20 }) else { continue }
            // `UInt8` has no padding that could be read.
            missing = try onLine(unsafe line.span.bytes)
        }
    }
}
