/// Numbers and byte strings as records hold them: little-endian, lengths in front.
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

/// A record that isn't what it should be: the file was changed, or is another version's.
package struct RecordError: Error, Sendable {
    package init() {}
}

/// Reads a record from its front. Every length is checked: a broken file is an error, not a crash.
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

    /// Unix milliseconds, within the years that can be written with four digits.
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

    mutating func id() throws(RecordError) -> MessageID {
        guard let id = try counted().withRawSpan({ MessageID($0) }) else { throw RecordError() }
        return id
    }

    mutating func rest() -> [UInt8] {
        defer { offset = bytes.count }
        return Array(bytes[offset...])
    }
}
