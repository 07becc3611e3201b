// SPDX-License-Identifier: Apache-2.0

extension JSONReader {
    /// Skips and checks the object or array that opens at the position; duplicate keys in it are accepted.
    ///
    /// One word has a bit for each open container, the innermost in the lowest bit: 1 for an object, 0 for an array. Hostile nesting thus
    /// costs neither stack nor memory.
    mutating func container(_ kind: JSONValue.Kind, in bytes: RawSpan, depth: Int) throws(JSONSyntaxError) -> JSONValue {
        let start = position
        var objects: UInt64 = 0
        var level = 0
        repeat {
            switch try current(in: bytes) {
            case UInt8(ascii: "{"):
                try open(depth: depth, level: &level)
                objects = objects &<< 1 | 1
                skipWhitespace(in: bytes)
                if try current(in: bytes) != UInt8(ascii: "}") {
                    _ = try key(in: bytes)
                    continue
                }
            case UInt8(ascii: "["):
                try open(depth: depth, level: &level)
                objects &<<= 1
                skipWhitespace(in: bytes)
                if try current(in: bytes) != UInt8(ascii: "]") { continue }
            case UInt8(ascii: "\""):
                position &+= 1
                _ = try string(in: bytes)
            default:
                _ = try plainValue(in: bytes)
            }
            try closeAndContinue(&objects, level: &level, in: bytes)
        } while level > 0
        return JSONValue(kind, start: start, end: position)
    }

    @inline(__always)
    private mutating func open(depth: Int, level: inout Int) throws(JSONSyntaxError) {
        level &+= 1
        guard depth &+ level <= maximumDepth else { throw JSONSyntaxError(.tooDeep, at: position) }
        position &+= 1
    }

    /// Closes all containers that end after the current value, up to the next value or the end of the outermost container.
    @inline(__always)
    private mutating func closeAndContinue(_ objects: inout UInt64, level: inout Int, in bytes: RawSpan) throws(JSONSyntaxError) {
        while level > 0 {
            skipWhitespace(in: bytes)
            let isObject = objects & 1 == 1
            switch try current(in: bytes) {
            case UInt8(ascii: ","):
                position &+= 1
                skipWhitespace(in: bytes)
                if isObject { _ = try key(in: bytes) }
                return
            case isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"):
                position &+= 1
                objects &>>= 1
                level &-= 1
            default:
                throw JSONSyntaxError(.unexpectedByte, at: position)
            }
        }
    }
}
