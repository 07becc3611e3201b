// SPDX-License-Identifier: Apache-2.0

/// The encoding of records: little-endian numbers, and byte strings prefixed with their length.
extension [UInt8] {
    mutating func append(fixed value: some FixedWidthInteger) {
        var rest = value
        for _ in 0..<MemoryLayout.size(ofValue: value) {
            append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    mutating func append(counted value: [UInt8]) {
        append(fixed: UInt32(truncatingIfNeeded: value.count))
        append(contentsOf: value)
    }

    mutating func append(counted id: MessageID) {
        append(fixed: UInt32(id.count))
        id.append(to: &self)
    }
}

/// The error for an invalid record: the file was modified, or written by another version.
package struct RecordError: Error, Sendable {
    package init() {}
}

/// A reader for the fields of a record, in order. Every length is checked: a damaged file causes an error, not a crash.
struct RecordReader: ~Copyable {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func fixed<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(RecordError) -> Value {
        let size = MemoryLayout<Value>.size
        guard bytes.count - offset >= size else { throw RecordError() }
        var value: Value = 0
        for index in (0..<size).reversed() { value = value << 8 | Value(truncatingIfNeeded: bytes[offset + index]) }
        offset += size
        return value
    }

    /// Reads a time in Unix milliseconds, which must be before the year 10000.
    mutating func time() throws(RecordError) -> Int64 {
        let time: Int64 = try fixed()
        guard (0..<253_402_300_800_000).contains(time) else { throw RecordError() }
        return time
    }

    mutating func flag() throws(RecordError) -> Bool { try fixed(UInt8.self) != 0 }

    mutating func counted() throws(RecordError) -> [UInt8] {
        let count = Int(try fixed(UInt32.self))
        guard bytes.count - offset >= count else { throw RecordError() }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    mutating func text() throws(RecordError) -> String {
        guard let text = String(validating: try counted(), as: UTF8.self) else { throw RecordError() }
        return text
    }

    /// Whether all fields have been read.
    var isAtEnd: Bool { offset == bytes.count }

    mutating func id() throws(RecordError) -> MessageID {
        guard let id = try counted().withRawSpan({ MessageID($0) }) else { throw RecordError() }
        return id
    }

    mutating func rest() -> [UInt8] {
        defer { offset = bytes.count }
        return Array(bytes[offset...])
    }
}
