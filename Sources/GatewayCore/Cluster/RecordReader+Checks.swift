// SPDX-License-Identifier: Apache-2.0

/// Fields of the messages between nodes, which are read more strictly than stored records: each value has one encoding only.
extension RecordReader {
    mutating func bool() throws(RecordError) -> Bool {
        switch try fixed(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw RecordError()
        }
    }

    /// Reads a count that isn't negative.
    mutating func count() throws(RecordError) -> Int {
        let value: Int64 = try fixed()
        guard value >= 0 else { throw RecordError() }
        return Int(value)
    }

    /// Reads a finite number.
    mutating func number() throws(RecordError) -> Double {
        let value = Double(bitPattern: try fixed())
        guard value.isFinite else { throw RecordError() }
        return value
    }

    mutating func integer() throws(RecordError) -> Int64 { try fixed() }

    mutating func ulid() throws(RecordError) -> ULID { ULID(high: try fixed(), low: try fixed()) }

    mutating func key() throws(RecordError) -> RequestKey { RequestKey(number: try fixed()) }

    /// Reads a value that may be absent.
    mutating func perhaps<Value>(_ read: (inout RecordReader) throws(RecordError) -> Value) throws(RecordError) -> Value? {
        try bool() ? try read(&self) : nil
    }

    /// Throws if fields are left.
    func expectEnd() throws(RecordError) {
        guard isAtEnd else { throw RecordError() }
    }
}

extension [UInt8] {
    mutating func append(flag value: Bool) { append(UInt8(value ? 1 : 0)) }

    mutating func append(integer value: Int64) { append(fixed: value) }

    mutating func append(number value: Double) { append(fixed: value.bitPattern) }

    mutating func append(ulid value: ULID) {
        append(fixed: value.high)
        append(fixed: value.low)
    }

    mutating func append(key value: RequestKey) { append(fixed: value.number) }

    mutating func append(text: String) { append(counted: Array(text.utf8)) }

    mutating func append<Value>(perhaps value: Value?, _ write: (inout [UInt8], Value) -> Void) {
        append(flag: value != nil)
        if let value { write(&self, value) }
    }
}
