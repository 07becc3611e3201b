/// The body of an HTTP answer that is one JSON object or a stream of server-sent events.
///
/// The first bytes tell which of the two it is. Servers and proxies send either under the other's `Content-Type`, under `text/plain`, and under none;
/// the `Content-Type` decides only where the beginning could be either.
package struct AnswerBody: Sendable {
    private enum Form: Sendable {
        /// The beginning, without white space and byte order mark, as far as it has come.
        case undecided([UInt8])
        case json([UInt8])
        case events(ServerSentEvents)
    }

    /// Bytes of the JSON object, or of one event, at most: `max_message_bytes`.
    package let limit: Int
    private var form = Form.undecided([])
    private var isDeclaredStream = false

    package init(limit: Int) { self.limit = limit }

    /// The `Content-Type` of the answer has come.
    package mutating func begin(isDeclaredStream: Bool) { self.isDeclaredStream = isDeclaredStream }

    /// Whether it is known to be a stream of events.
    package var isStream: Bool { if case .events = form { true } else { false } }

    /// - Parameter event: is handed the data of each event that is complete; not called for JSON, which is kept for ``end(_:)``.
    /// - Throws: when the body is neither, or when the object or an event is longer than ``limit``: refused before it is kept.
    package mutating func take(_ bytes: RawSpan, _ event: (RawSpan) throws(AnswerFault) -> Void) throws(AnswerFault) {
        switch form {
        case .undecided(var beginning):
            form = .undecided([])
            // A few bytes decide; the rest of a large read isn't copied for it.
            var taken = 0
            while taken < bytes.byteCount, beginning.count < Self.longestBeginning {
                let byte = bytes.byte(at: taken)
                taken &+= 1
                if beginning.isEmpty, Self.isBlank(byte) { continue }
                beginning.append(byte)
                if beginning == [0xEF, 0xBB, 0xBF] { beginning = [] }
            }
            guard try decide(beginning, isWhole: false) else { return form = .undecided(beginning) }
            // `UInt8` has no padding that could be read.
            try take(unsafe beginning.span.bytes, event)
            try take(bytes.extracting(taken..<bytes.byteCount), event)
        case .json(var whole):
            form = .undecided([])
            guard bytes.byteCount <= limit &- whole.count else {
                throw AnswerFault("the body is longer than max_message_bytes", kind: .tooLong)
            }
            whole.append(bytesOf: bytes)
            form = .json(whole)
        case .events(var events):
            form = .undecided([])
            defer { form = .events(events) }
            try events.take(bytes, event)
        }
    }

    /// The body has ended. The data of an event that no empty line ends is handed on as well.
    ///
    /// - Returns: the JSON object; nil for a stream.
    package mutating func end(_ event: (RawSpan) throws(AnswerFault) -> Void) throws(AnswerFault) -> [UInt8]? {
        if case .undecided(let beginning) = form {
            guard !beginning.isEmpty else { throw AnswerFault("the body is empty", kind: .incomplete) }
            _ = try decide(beginning, isWhole: true)
            try take(unsafe beginning.span.bytes, event)
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

    /// Longer than any name that a line of a stream begins with.
    private static let longestBeginning = 8
    private static let names = ["data", "event", "id", "retry"].map { Array($0.utf8) }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

    /// - Returns: false when more bytes are needed.
    private mutating func decide(_ beginning: [UInt8], isWhole: Bool) throws(AnswerFault) -> Bool {
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
        guard isDeclaredStream else { throw AnswerFault("the answer is neither JSON nor an event stream", kind: .unusable) }
        form = .events(ServerSentEvents(limit: limit))
        return true
    }
}
