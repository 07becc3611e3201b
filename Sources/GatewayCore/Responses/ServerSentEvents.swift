// SPDX-License-Identifier: Apache-2.0

/// An incremental parser for `text/event-stream` (HTML Standard §9.2.6). Delivers the data of each event and ignores all other fields.
///
/// A line that begins with `{` is an event of its own: some servers write errors and complete responses into a stream without `data:`.
package struct ServerSentEvents: Sendable {
    /// The maximum size of one event's data in bytes.
    package let limit: Int
    /// The incomplete line.
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    /// Whether the last byte was a CR, which may be the first half of a CRLF.
    private var isAfterReturn = false
    private var isFirst = true

    package init(limit: Int) { self.limit = min(limit, .max / 4) }

    package var heldBytes: Int { line.capacity + data.capacity }

    /// Parses the next bytes of the stream.
    ///
    /// - Parameter event: called with the data of each complete event
    /// - Throws: when an event exceeds ``limit``; excess bytes aren't buffered
    package mutating func receive(_ bytes: RawSpan, _ event: (RawSpan) throws(ResponseFault) -> Void) throws(ResponseFault) {
        var start = 0
        for index in 0..<bytes.byteCount {
            let byte = bytes.byte(at: index)
            guard byte == 0x0A || byte == 0x0D else {
                isAfterReturn = false
                continue
            }
            defer { start = index &+ 1 }
            if byte == 0x0A, isAfterReturn {
                // The second half of a CRLF.
                isAfterReturn = false
                continue
            }
            isAfterReturn = byte == 0x0D
            try appendToLine(bytes.extracting(start..<index))
            try endLine(event)
        }
        try appendToLine(bytes.extracting(start..<bytes.byteCount))
    }

    /// Ends the stream and delivers a final event that no empty line terminates.
    package mutating func finish(_ event: (RawSpan) throws(ResponseFault) -> Void) throws(ResponseFault) {
        if !line.isEmpty { try endLine(event) }
        try endLine(event)
    }

    private mutating func appendToLine(_ part: RawSpan) throws(ResponseFault) {
        // The additional 16 bytes are for the field's name.
        guard part.byteCount <= limit &+ 16 &- min(line.count &+ data.count, limit &+ 16) else {
            throw ResponseFault("an event is longer than max_message_bytes", kind: .tooLong)
        }
        line.append(bytesOf: part)
    }

    private mutating func endLine(_ event: (RawSpan) throws(ResponseFault) -> Void) throws(ResponseFault) {
        defer { line.removeAll(keepingCapacity: line.capacity <= 4096) }
        if isFirst {
            isFirst = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard !line.isEmpty else {
            defer {
                data.removeAll(keepingCapacity: data.capacity <= 4096)
                hasData = false
            }
            guard hasData else { return }
            // `UInt8` has no padding that could be read.
            return try event(unsafe data.span.bytes)
        }
        if line.first == UInt8(ascii: "{") { return try event(unsafe line.span.bytes) }
        guard line.starts(with: Self.field) else { return }
        var rest = line[Self.field.count...]
        guard let next = rest.first else { return addData([]) }
        // A longer name that begins with `data` is another field.
        guard next == UInt8(ascii: ":") else { return }
        rest = rest.dropFirst()
        addData(rest.first == 0x20 ? rest.dropFirst() : rest)
    }

    private mutating func addData(_ value: ArraySlice<UInt8>) {
        if hasData { data.append(0x0A) }
        data += value
        hasData = true
    }

    private static let field = Array("data".utf8)
}
