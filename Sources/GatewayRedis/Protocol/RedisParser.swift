// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// An incremental parser for RESP2 replies.
///
/// Every byte is examined once, however the bytes are split. A size that exceeds a limit is rejected when it is announced.
package struct RedisParser: Sendable {
    package struct Limits: Sendable, Hashable {
        /// The maximum length of a status, error or number without CRLF, in bytes.
        package var lineBytes = 64 * 1024
        /// The maximum length of one bulk string in bytes; at most 512 MiB.
        package var bulkBytes = 64 * 1024 * 1024
        /// The maximum total length of the bulk strings and lines of one reply in bytes.
        package var replyBytes = 256 * 1024 * 1024
        /// The maximum number of elements of one reply, including those of nested arrays.
        package var elements = 1_048_576
        /// The maximum number of arrays inside one another.
        package var depth = 8

        package init() {}
    }

    /// An array whose elements aren't all parsed yet.
    private struct PartialArray: Sendable {
        var elements: [RedisReply] = []
        var missing: Int
    }

    private let limits: Limits
    /// The beginning of a line whose end isn't received yet, with its type byte.
    private var line = ByteBuffer()
    /// The received part of a bulk string.
    private var bulk: [UInt8] = []
    /// The bytes of the bulk string and its CRLF that aren't received yet; nil outside a bulk string.
    private var missingBulk: Int?
    private var arrays: [PartialArray] = []
    /// The bytes and elements of the current reply.
    private var replyBytes = 0
    private var replyElements = 0
    private var fault: RedisParserFault?

    package init(limits: Limits = Limits()) {
        var limits = limits
        limits.bulkBytes = min(limits.bulkBytes, 512 * 1024 * 1024)
        self.limits = limits
    }

    /// The bytes that are kept until the rest of the reply is received.
    package var heldBytes: Int { line.readableBytes + replyBytes - max(0, (missingBulk ?? 0) - 2) }

    /// Consumes bytes up to the end of the next reply.
    ///
    /// - Returns: the reply; nil if all bytes are consumed and the reply isn't complete
    /// - Throws: if the bytes aren't RESP2 or exceed a limit. The parser rejects all bytes after that.
    package mutating func next(from buffer: inout ByteBuffer) throws(RedisParserFault) -> RedisReply? {
        if let fault { throw fault }
        do throws(RedisParserFault) {
            while buffer.readableBytes > 0 {
                if let element = try element(from: &buffer), let reply = finish(element) { return reply }
            }
            return nil
        } catch {
            fault = error
            (line, bulk, arrays) = (ByteBuffer(), [], [])
            throw error
        }
    }

    /// Consumes bytes up to the end of the next reply that isn't an array, or of an empty array.
    private mutating func element(from buffer: inout ByteBuffer) throws(RedisParserFault) -> RedisReply? {
        if missingBulk != nil { return try bulkString(from: &buffer) }
        guard var content = try completeLine(from: &buffer) else { return nil }
        // A line without a type byte is empty, as after an additional CRLF.
        let type: UInt8 = content.readInteger() ?? UInt8(ascii: "\r")
        switch type {
        case UInt8(ascii: "$"):
            guard let count = try length(content, limit: limits.bulkBytes, excess: .bulkTooLong) else { return .null }
            try add(bytes: count)
            missingBulk = count + 2
            return try bulkString(from: &buffer)
        case UInt8(ascii: "*"):
            guard let count = try length(content, limit: limits.elements - replyElements, excess: .tooManyElements) else { return .null }
            guard arrays.count < limits.depth else { throw .tooDeep }
            guard count > 0 else { return .array([]) }
            replyElements += count
            arrays.append(PartialArray(missing: count))
            return nil
        case UInt8(ascii: ":"):
            return .integer(try integer(content))
        case UInt8(ascii: "+"):
            try add(bytes: content.readableBytes)
            return .status(Array(content.readableBytesView))
        case UInt8(ascii: "-"):
            try add(bytes: content.readableBytes)
            return .error(RedisError(line: content.readableBytesView))
        default:
            throw .unknownType(type)
        }
    }

    /// Adds an element to the innermost array.
    ///
    /// - Returns: the reply if the element completes it
    private mutating func finish(_ element: RedisReply) -> RedisReply? {
        var element = element
        while let last = arrays.indices.last {
            arrays[last].elements.append(element)
            arrays[last].missing -= 1
            guard arrays[last].missing == 0 else { return nil }
            element = .array(arrays.removeLast().elements)
        }
        replyBytes = 0
        replyElements = 0
        return element
    }

    // MARK: Lines

    /// Consumes bytes up to the end of a line.
    ///
    /// - Returns: the line with its type byte and without CRLF; nil if all bytes are consumed and the line isn't complete
    private mutating func completeLine(from buffer: inout ByteBuffer) throws(RedisParserFault) -> ByteBuffer? {
        // The type byte and the CR are held, too.
        let room = limits.lineBytes + 2 - line.readableBytes
        let isReturnHeld = line.readableBytesView.last == UInt8(ascii: "\r")
        let bytes = buffer.readableBytesView.prefix(max(room, 1))
        let first = isReturnHeld ? bytes.startIndex : bytes.firstIndex { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }
        guard let first else {
            // A whole line would have ended within the room.
            guard bytes.count < room else { throw .lineTooLong }
            hold(bytes.count, of: &buffer)
            return nil
        }
        let count = first - bytes.startIndex
        if !isReturnHeld {
            guard bytes[first] == UInt8(ascii: "\r") else { throw .missingLineEnd }
            guard buffer.readableBytes > count + 1 else {
                hold(count + 1, of: &buffer)
                return nil
            }
        }
        let end = isReturnHeld ? 0 : count + 1
        guard buffer.getInteger(at: buffer.readerIndex + end) == UInt8(ascii: "\n") else { throw .missingLineEnd }
        defer { buffer.moveReaderIndex(forwardBy: end + 1) }
        guard line.readableBytes > 0 else { return buffer.getSlice(at: buffer.readerIndex, length: count) }
        line.writeImmutableBuffer(buffer.getSlice(at: buffer.readerIndex, length: count) ?? ByteBuffer())
        defer { line.clear() }
        return line.getSlice(at: line.readerIndex, length: line.readableBytes - (isReturnHeld ? 1 : 0))
    }

    private mutating func hold(_ count: Int, of buffer: inout ByteBuffer) {
        if var part = buffer.readSlice(length: count) { line.writeBuffer(&part) }
    }

    // MARK: Bulk strings

    private mutating func bulkString(from buffer: inout ByteBuffer) throws(RedisParserFault) -> RedisReply? {
        guard var missing = missingBulk else { return nil }
        if missing > 2 {
            let part = min(missing - 2, buffer.readableBytes)
            if bulk.isEmpty, part == missing - 2 {
                bulk = buffer.readBytes(length: part) ?? []
            } else {
                if bulk.isEmpty { bulk.reserveCapacity(min(missing - 2, max(2 * part, 1024))) }
                bulk.append(contentsOf: buffer.readableBytesView.prefix(part))
                buffer.moveReaderIndex(forwardBy: part)
            }
            missing -= part
        }
        while missing == 2 || missing == 1, let byte: UInt8 = buffer.readInteger() {
            guard byte == (missing == 2 ? UInt8(ascii: "\r") : UInt8(ascii: "\n")) else { throw .missingLineEnd }
            missing -= 1
        }
        missingBulk = missing
        guard missing == 0 else { return nil }
        missingBulk = nil
        defer { bulk = [] }
        return .bulk(bulk)
    }

    private mutating func add(bytes count: Int) throws(RedisParserFault) {
        guard count <= limits.replyBytes - replyBytes else { throw .replyTooLong }
        replyBytes += count
    }

    // MARK: Numbers

    /// Returns a length; nil for -1.
    private func length(_ digits: ByteBuffer, limit: Int, excess: RedisParserFault) throws(RedisParserFault) -> Int? {
        let number = try integer(digits)
        if number == -1 { return nil }
        guard number >= 0 else { throw .malformedNumber }
        guard number <= limit else { throw excess }
        return Int(number)
    }

    private func integer(_ digits: ByteBuffer) throws(RedisParserFault) -> Int64 {
        let view = digits.readableBytesView
        let isNegative = view.first == UInt8(ascii: "-")
        let magnitude = isNegative ? view.dropFirst() : view[...]
        guard 1...19 ~= magnitude.count else { throw .malformedNumber }
        // Negative numbers have the larger range.
        var number: Int64 = 0
        for byte in magnitude {
            guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else { throw .malformedNumber }
            let (shifted, overflows) = number.multipliedReportingOverflow(by: 10)
            let (sum, overflowsSum) = shifted.subtractingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            guard !overflows, !overflowsSum else { throw .malformedNumber }
            number = sum
        }
        guard !isNegative else { return number }
        guard number != .min else { throw .malformedNumber }
        return -number
    }
}

extension RedisError {
    fileprivate init(line: ByteBufferView) {
        let code = line.prefix { $0 != UInt8(ascii: " ") }
        self.init(
            code: String(decoding: code, as: UTF8.self), text: String(decoding: line.dropFirst(code.count).dropFirst(), as: UTF8.self))
    }
}
