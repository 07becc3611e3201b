// SPDX-License-Identifier: Apache-2.0

/// An incremental parser for the body of an HTTP response: one JSON object or a stream of server-sent events.
///
/// The first bytes determine the kind. Some servers and proxies send a body with the `Content-Type` of the other kind, with `text/plain`,
/// or without any, so the `Content-Type` is used only if the first bytes are ambiguous.
package struct ResponseBody: Sendable {
    private enum Form: Sendable {
        /// The first bytes received so far, without white space and the byte order mark.
        case undecided([UInt8])
        case json([UInt8])
        case events(ServerSentEvents)
    }

    /// The maximum size of the JSON object or of one event in bytes: `max_message_bytes`.
    package let limit: Int
    private var form = Form.undecided([])
    private var isDeclaredStream = false

    package init(limit: Int) { self.limit = limit }

    /// Begins the body.
    ///
    /// - Parameter isDeclaredStream: whether the `Content-Type` is `text/event-stream`
    package mutating func begin(isDeclaredStream: Bool) { self.isDeclaredStream = isDeclaredStream }

    /// Whether the body was recognized as a stream of events.
    package var isStream: Bool { if case .events = form { true } else { false } }

    /// Parses the next bytes of the body.
    ///
    /// - Parameter event: called with the data of each complete event; not called for JSON, which ``end(_:)`` returns
    /// - Throws: when the body is of neither kind, or when the object or an event exceeds ``limit``; excess bytes aren't buffered
    package mutating func receive(_ bytes: RawSpan, _ event: (RawSpan) throws(ResponseFault) -> Void) throws(ResponseFault) {
        switch form {
        case .undecided(var beginning):
            form = .undecided([])
            // Only the bytes that determine the kind are copied, not the rest of a large read.
            var offset = 0
            while offset < bytes.byteCount, beginning.count < Self.maxBeginning {
                let byte = bytes.byte(at: offset)
                offset &+= 1
                if beginning.isEmpty, Self.isBlank(byte) { continue }
                beginning.append(byte)
                if beginning == [0xEF, 0xBB, 0xBF] { beginning = [] }
            }
            guard try decide(beginning, isWhole: false) else { return form = .undecided(beginning) }
            // `UInt8` has no padding that could be read.
            try receive(unsafe beginning.span.bytes, event)
            try receive(bytes.extracting(offset..<bytes.byteCount), event)
        case .json(var whole):
            form = .undecided([])
            guard bytes.byteCount <= limit &- whole.count else {
                throw ResponseFault("the body is longer than max_message_bytes", kind: .tooLong)
            }
            whole.append(bytesOf: bytes)
            form = .json(whole)
        case .events(var events):
            form = .undecided([])
            defer { form = .events(events) }
            try events.receive(bytes, event)
        }
    }

    /// Ends the body. Also delivers the data of a final event that no empty line terminates.
    ///
    /// - Returns: the JSON object; nil for a stream
    package mutating func end(_ event: (RawSpan) throws(ResponseFault) -> Void) throws(ResponseFault) -> [UInt8]? {
        if case .undecided(let beginning) = form {
            guard !beginning.isEmpty else { throw ResponseFault("the body is empty", kind: .incomplete) }
            _ = try decide(beginning, isWhole: true)
            try receive(unsafe beginning.span.bytes, event)
        }
        switch form {
        case .json(let whole): return whole
        case .events(var events):
            defer { form = .events(events) }
            try events.finish(event)
            return nil
        case .undecided: return nil
        }
    }

    /// The maximum number of bytes that determine the kind: more than any field name of an event stream.
    private static let maxBeginning = 8
    private static let names = ["data", "event", "id", "retry"].map { Array($0.utf8) }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

    /// Determines the form of the body.
    ///
    /// - Returns: false when more bytes are needed
    private mutating func decide(_ beginning: [UInt8], isWhole: Bool) throws(ResponseFault) -> Bool {
        guard let first = beginning.first else { return false }
        if first == UInt8(ascii: "{") {
            form = .json([])
            return true
        }
        let isField = Self.names.contains { name in
            guard beginning.starts(with: name) else { return false }
            guard beginning.count > name.count else { return isWhole }
            return beginning[name.count] == UInt8(ascii: ":") || Self.isBlank(beginning[name.count])
        }
        if first == UInt8(ascii: ":") || isField {
            form = .events(ServerSentEvents(limit: limit))
            return true
        }
        let mayBecomeField = !isWhole && (first == 0xEF && beginning.count < 3 || Self.names.contains { $0.starts(with: beginning) })
        if mayBecomeField { return false }
        guard isDeclaredStream else { throw ResponseFault("the response is neither JSON nor an event stream", kind: .unusable) }
        form = .events(ServerSentEvents(limit: limit))
        return true
    }
}
