// SPDX-License-Identifier: Apache-2.0

/// An id chosen by a client: 1–64 characters of `[A-Za-z0-9._:-]` (protocol page, section "Messages").
///
/// The bytes are stored inline, so that an id needs no allocation.
package struct MessageID: Hashable, Sendable, CustomStringConvertible {
    package static let maximumLength = 64

    private var storage: InlineArray<64, UInt8>
    package let count: Int

    /// Nil when the bytes aren't a valid id.
    package init?(_ bytes: RawSpan) {
        let count = bytes.byteCount
        guard count >= 1, count <= Self.maximumLength else { return nil }
        var storage = InlineArray<64, UInt8>(repeating: 0)
        for index in 0..<count {
            let byte = bytes.byte(at: index)
            guard Self.isAllowed(byte) else { return nil }
            storage[index] = byte
        }
        self.storage = storage
        self.count = count
    }

    package init?(_ string: String) {
        guard let id = Array(string.utf8).withRawSpan({ MessageID($0) }) else { return nil }
        self = id
    }

    package static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E, 0x5F, 0x3A, 0x2D: true
        default: false
        }
    }

    package subscript(index: Int) -> UInt8 { storage[index] }

    /// Calls `body` with the characters.
    package func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
        // `UInt8` has no padding that could be read.
        body(unsafe storage.span.bytes.extracting(first: count))
    }

    package func append(to bytes: inout [UInt8]) {
        withBytes { bytes.append(bytesOf: $0) }
    }

    package func equals(_ other: RawSpan) -> Bool {
        guard other.byteCount == count else { return false }
        for index in 0..<count where storage[index] != other.byte(at: index) { return false }
        return true
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.count == right.count && right.withBytes { left.equals($0) }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        // The span lives as long as the call.
        withBytes { span in unsafe span.withUnsafeBytes { unsafe hasher.combine(bytes: $0) } }
    }

    package var description: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension RawSpan {
    /// Returns the byte at an index below `byteCount`, which is checked in debug and release builds alike.
    @inline(__always)
    package func byte(at index: Int) -> UInt8 {
        precondition(index >= 0 && index < byteCount)
        // In bounds by the precondition.
        return unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
    }
}
