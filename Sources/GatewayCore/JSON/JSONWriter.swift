// SPDX-License-Identifier: Apache-2.0

/// A writer of one JSON text (RFC 8259) into borrowed memory.
///
/// When the memory is full, the writer stops storing but continues counting, so that ``count`` is the size that the text needs.
/// `appendJSON` thus reserves memory once for a whole message, and each part of the text costs only a bounds check and its stores.
/// The writer inserts the separators of members and elements, and allocates nothing.
///
/// The writer is safe: each store is preceded by a bounds check, and the memory outlives the closure that receives the writer.
@safe
package struct JSONWriter: ~Copyable {
    private let base: UnsafeMutableRawPointer?
    private let capacity: Int
    /// The size of the text so far in bytes; greater than the capacity when the text doesn't fit.
    package private(set) var count = 0
    /// The byte before the next member or element: a comma, or the opening bracket of an object or array that is still empty.
    private var separator = UInt8(ascii: "{")

    init(_ memory: UnsafeMutableRawBufferPointer) {
        unsafe base = memory.baseAddress
        capacity = memory.count
    }

    /// Counts `size` more bytes, and returns the address to store them at; nil when they don't fit.
    @inline(__always)
    mutating func advance(by size: Int) -> UnsafeMutableRawPointer? {
        let start = count
        count = start &+ size
        guard count <= capacity, let base = unsafe base else { return nil }
        return unsafe base + start
    }

    /// Returns the address of the next bytes if at least `size` bytes are free; nil otherwise.
    @inline(__always)
    func room(for size: Int) -> UnsafeMutableRawPointer? {
        guard count &+ size <= capacity, let base = unsafe base else { return nil }
        return unsafe base + count
    }

    // MARK: Structure

    /// Writes an object without a name, the root of the text.
    @inline(__always)
    package mutating func object(_ members: (inout JSONWriter) -> Void) { nest("{", "}", members) }

    @inline(__always)
    package mutating func object(_ name: StaticString, _ members: (inout JSONWriter) -> Void) {
        self.name(name)
        nest("{", "}", members)
    }

    @inline(__always)
    package mutating func array(_ name: StaticString, _ elements: (inout JSONWriter) -> Void) {
        self.name(name)
        nest("[", "]", elements)
    }

    /// Writes an object in an array.
    @inline(__always)
    package mutating func element(_ members: (inout JSONWriter) -> Void) {
        separate()
        nest("{", "}", members)
    }

    /// Writes the separator before an element.
    mutating func separate() {
        put(separator)
        separator = UInt8(ascii: ",")
    }

    @inline(__always)
    private mutating func nest(_ open: Unicode.Scalar, _ close: Unicode.Scalar, _ content: (inout JSONWriter) -> Void) {
        separator = UInt8(ascii: open)
        content(&self)
        if separator == UInt8(ascii: open) { put(separator) }
        put(UInt8(ascii: close))
        separator = UInt8(ascii: ",")
    }

    /// Writes the separator and the name of a member; the name needs no escaping.
    @inline(__always)
    mutating func name(_ name: StaticString) {
        let size = name.utf8CodeUnitCount
        if let target = unsafe advance(by: size &+ 4) {
            unsafe target.storeBytes(of: separator, as: UInt8.self)
            unsafe target.storeBytes(of: UInt8(ascii: "\""), toByteOffset: 1, as: UInt8.self)
            unsafe (target + 2).copyMemory(from: name.utf8Start, byteCount: size)
            // `":`
            unsafe target.storeBytes(of: UInt16(0x3A22).littleEndian, toByteOffset: size &+ 2, as: UInt16.self)
        }
        separator = UInt8(ascii: ",")
    }

    /// Writes a name that needs escaping.
    mutating func name(_ name: RawSpan) {
        put(separator)
        string(name)
        put(UInt8(ascii: ":"))
        separator = UInt8(ascii: ",")
    }

    // MARK: Bytes

    @inline(__always)
    mutating func put(_ byte: UInt8) {
        if let target = unsafe advance(by: 1) { unsafe target.storeBytes(of: byte, as: UInt8.self) }
    }

    @inline(__always)
    mutating func put(_ literal: StaticString) {
        let size = literal.utf8CodeUnitCount
        if let target = unsafe advance(by: size) { unsafe target.copyMemory(from: literal.utf8Start, byteCount: size) }
    }

    /// Writes bytes verbatim.
    mutating func put(_ bytes: RawSpan) {
        let size = bytes.byteCount
        guard let target = unsafe advance(by: size) else { return }
        // The span outlives the call.
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe target.copyMemory(from: start, byteCount: size)
        }
    }
}

extension [UInt8] {
    /// Appends one JSON text, in one pass if `expected` bytes or the array's capacity suffice, in two otherwise.
    ///
    /// - Parameter write: writes the text; called a second time, with the same result, when the text doesn't fit
    @inline(__always)
    package mutating func appendJSON(expecting expected: Int, _ write: (inout JSONWriter) -> Void) {
        var needed = expected
        var isWritten = false
        while !isWritten {
            append(addingCapacity: Swift.max(needed, capacity &- count)) { output in
                // The closure reports how many bytes it has initialized.
                unsafe output.withUnsafeMutableBufferPointer { target, written in
                    var writer = unsafe JSONWriter(UnsafeMutableRawBufferPointer(target))
                    write(&writer)
                    needed = writer.count
                    isWritten = needed <= target.count
                    written = isWritten ? needed : 0
                }
            }
        }
    }
}
