/// Writes one JSON text (RFC 8259) into memory that it borrows.
///
/// A writer stays within that memory and counts on beyond it: the count then tells how much memory the text needs. So `appendJSON` makes room
/// once for a whole message instead of once for each of its parts, and a part costs a comparison and its stores.
/// Members and elements are separated by the writer, which allocates nothing.
///
/// Safe, because each store is preceded by a comparison with the size of the memory, and the memory outlives the closure that gets the writer.
@safe
package struct JSONWriter: ~Copyable {
    private let base: UnsafeMutableRawPointer?
    private let capacity: Int
    /// Bytes of the text so far; more than there is memory for when the text doesn't fit.
    package private(set) var count = 0
    /// The byte in front of the next member or element: a comma, or the bracket of an object or array that has none yet.
    private var separator = UInt8(ascii: "{")

    init(_ memory: UnsafeMutableRawBufferPointer) {
        unsafe base = memory.baseAddress
        capacity = memory.count
    }

    /// Counts `size` more bytes, and returns where they go; nil when there is no room.
    @inline(__always)
    mutating func advance(by size: Int) -> UnsafeMutableRawPointer? {
        let start = count
        count = start &+ size
        guard count <= capacity, let base = unsafe base else { return nil }
        return unsafe base + start
    }

    /// Where the next bytes go, if there are at least `size`.
    @inline(__always)
    func room(for size: Int) -> UnsafeMutableRawPointer? {
        guard count &+ size <= capacity, let base = unsafe base else { return nil }
        return unsafe base + count
    }

    // MARK: Structure

    /// Writes a whole object without a name: the text itself.
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

    /// Writes what comes in front of an element.
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

    /// Writes the name of a member, which needs no escaping, and what comes in front of it.
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

    /// Writes bytes as they are.
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
    /// Appends one JSON text. It is written in one pass where `expected` is enough or the array has room, else in two.
    ///
    /// - Parameter write: called twice when the text turns out to be longer; writes the same each time
    @inline(__always)
    package mutating func appendJSON(expecting expected: Int, _ write: (inout JSONWriter) -> Void) {
        var needed = expected
        var isWritten = false
        while !isWritten {
            append(addingCapacity: Swift.max(needed, capacity &- count)) { output in
                // The closure says how many bytes it has written.
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
