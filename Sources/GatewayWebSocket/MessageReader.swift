import GatewayCore
package import NIOCore

/// Turns the bytes of a peer into messages: frames, fragments, UTF-8, permessage-deflate and limits (RFC 6455 §5–§8, RFC 7692).
///
/// A frame that lies whole in the read buffer is unmasked where it lies and lent from there: no copy, no allocation. Only what the end of
/// a read cuts, and fragments, are copied into a buffer that grows with the bytes that came, and is freed as soon as it was handed over.
/// The read buffer must not be shared with another `ByteBuffer` value, or unmasking copies it.
package struct MessageReader: ~Copyable {
    private struct OpenFrame {
        let header: FrameHeader
        /// Bytes of the payload that came.
        var taken = 0
    }

    private struct OpenMessage {
        let kind: MessageKind
        let isCompressed: Bool
        /// Payload bytes that its frames announced so far, never over the limit.
        var announced = 0
        /// Frames so far.
        var fragments = 0
        var utf8 = UTF8Validator()
    }

    package let limits: WebSocketLimits
    private var parser: FrameParser
    private let inflation: Inflation?
    private var frame: OpenFrame?
    private var message: OpenMessage?
    /// The open message's bytes, and behind them those of a control frame that the end of a read has cut.
    private var assembly = ByteBuffer()
    private var assembledMessageBytes = 0
    private var inflated = ByteBuffer()
    private var lent: WebSocketEvent.Payload.Place?
    /// A close frame or an error: nothing behind it is read (RFC 6455 §1.4, §7.1.7).
    package private(set) var isFinished = false
    /// Of the last message: payload bytes on the wire beyond those that it inflated to. 0 without compression.
    package private(set) var overheadBytes = 0
    private var isDiscarding = false
    /// Compressed messages aren't inflated, only counted, where one can be understood without the one before: all of them, or binary ones.
    package var skipsCompressed = false
    package var skipsCompressedBinary = false
    /// How many weren't, the last of which was of this kind.
    private var skipped: (count: Int, kind: MessageKind) = (0, .text)

    /// - Parameters:
    ///   - compression: what was agreed on, and the state of the event loop; nil without permessage-deflate.
    package init(role: WebSocketRole, limits: WebSocketLimits, compression: (agreement: CompressionAgreement, shared: SharedDeflate)? = nil)
    {
        self.limits = limits
        self.parser = FrameParser(role: role, allowsCompression: compression != nil)
        self.inflation = compression.map { Inflation($0.agreement, reader: role, shared: $0.shared) }
    }

    /// Whether messages may come compressed that can be left out.
    package var canSkip: Bool { inflation.map { !$0.keepsContext } ?? false }

    /// The number of messages left out since the last call, and the kind of all of them but perhaps the first.
    package mutating func takeSkipped() -> (count: Int, kind: MessageKind) {
        defer { skipped.count = 0 }
        return skipped
    }

    /// Bytes of memory held for payloads that haven't been handed over: 0 between messages.
    package var bufferedBytes: Int { assembly.storageCapacity + inflated.storageCapacity }

    /// Bytes of a frame header that isn't complete yet.
    package var partialHeaderBytes: Int { parser.keptCount }

    /// Whether a message has begun and isn't complete.
    package var isWithinMessage: Bool { message != nil }

    /// Bytes of zlib state that belong to this connection alone: 0 without context takeover.
    package var deflateStateBytes: Int { inflation?.ownBytes ?? 0 }

    /// Finds the next event. To be called until it returns nil: all readable bytes are taken then.
    ///
    /// - Parameter buffer: what was read. Bytes up to the end of the event's frame are taken from it and stay in place until the next call;
    ///   it must not be written to, cleared or compacted while the event is in use.
    /// - Returns: nil when more bytes are needed, and always after a close frame or an error.
    /// - Throws: the broken rule. The connection is to be closed with its code.
    package mutating func next(in buffer: inout ByteBuffer) throws(WebSocketError) -> WebSocketEvent? {
        takeBack()
        guard !isFinished else {
            buffer.moveReaderIndex(to: buffer.writerIndex)
            return nil
        }
        do throws(WebSocketError) {
            while true {
                if frame == nil {
                    guard let header = try parser.next(in: &buffer) else { return nil }
                    try admit(header)
                    frame = OpenFrame(header: header)
                }
                if let event = try takePayload(from: &buffer) { return event }
                if frame != nil { return nil }
            }
        } catch {
            finish()
            throw error
        }
    }

    /// From now on messages are neither kept nor inflated nor told: only control frames and the limits of the frame layer still count.
    package mutating func discardMessages() { isDiscarding = true }

    /// Lends the bytes of an event's payload.
    ///
    /// - Parameters:
    ///   - buffer: the one that was given to ``next(in:)``.
    ///   - body: must neither call this reader nor change the buffer.
    package func withPayload<Result, Thrown: Error>(
        of payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer, _ body: (RawSpan) throws(Thrown) -> Result
    ) throws(Thrown) -> Result {
        let range = payload.start..<payload.start + payload.count
        func lend(_ bytes: UnsafeRawBufferPointer) throws(Thrown) -> Result {
            try body(bytes.bytes.extracting(range))
        }
        // The bytes lie before the reader index, so they are reached through the storage; the range is checked against it.
        switch payload.place {
        case .input: return try buffer.withVeryUnsafeBytes(lend)
        case .assembly: return try assembly.withVeryUnsafeBytes(lend)
        case .inflated: return try inflated.withVeryUnsafeBytes(lend)
        }
    }

    /// Checks a header against the open message and the limits, before any of its payload is kept.
    private mutating func admit(_ header: FrameHeader) throws(WebSocketError) {
        guard !header.opcode.isControl else { return }
        var open: OpenMessage
        switch (header.opcode, message) {
        case (.continuation, let message?): open = message
        case (.continuation, nil): throw .unexpectedContinuation
        case (_, .some): throw .expectedContinuation
        case (let opcode, nil): open = OpenMessage(kind: opcode == .text ? .text : .binary, isCompressed: header.isCompressed)
        }
        open.fragments += 1
        guard open.fragments <= limits.maxFragments else { throw .tooManyFragments }
        guard header.payloadCount <= limits.maxMessageBytes - open.announced else { throw .messageTooBig }
        open.announced += header.payloadCount
        message = open
    }

    /// Takes what is there of the open frame's payload.
    ///
    /// - Returns: the event that it completes. `frame` is nil afterwards when the frame is complete.
    private mutating func takePayload(from buffer: inout ByteBuffer) throws(WebSocketError) -> WebSocketEvent? {
        guard var open = frame else { return nil }
        let header = open.header
        let earlier = open.taken
        let count = min(header.payloadCount - earlier, buffer.readableBytes)
        if count > 0, let key = header.maskingKey {
            buffer.withUnsafeMutableReadableBytes {
                key.apply(to: UnsafeMutableRawBufferPointer(rebasing: $0[..<count]), phase: earlier)
            }
        }
        open.taken += count
        let isWhole = open.taken == header.payloadCount
        frame = isWhole ? nil : open
        defer { buffer.moveReaderIndex(forwardBy: count) }

        if header.opcode.isControl {
            if isWhole, earlier == 0 {
                return try controlEvent(header.opcode, .init(place: .input, start: buffer.readerIndex, count: count), in: buffer)
            }
            keep(count, of: buffer)
            guard isWhole else { return nil }
            return try controlEvent(
                header.opcode, .init(place: .assembly, start: assembledMessageBytes, count: header.payloadCount), in: buffer)
        }

        let isLast = isWhole && header.isFinal
        guard !isDiscarding else {
            if isLast { forgetMessage() }
            return nil
        }
        guard var message else { return nil }
        if message.kind == .text, !message.isCompressed {
            guard message.utf8.accept(buffer.readableBytesSpan.extracting(first: count)) else { throw .invalidUTF8 }
        }
        self.message = message
        if isLast, assembledMessageBytes == 0 {
            return try finish(message, .init(place: .input, start: buffer.readerIndex, count: count), in: buffer)
        }
        keep(count, of: buffer)
        assembledMessageBytes += count
        guard isLast else { return nil }
        return try finish(message, .init(place: .assembly, start: 0, count: assembledMessageBytes), in: buffer)
    }

    private mutating func keep(_ count: Int, of buffer: borrowing ByteBuffer) {
        guard count > 0 else { return }
        assembly.writeBytes(buffer.readableBytesSpan.extracting(first: count))
    }

    private mutating func controlEvent(
        _ opcode: Opcode, _ payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer
    ) throws(WebSocketError) -> WebSocketEvent {
        lent = payload.place
        switch opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        default:
            let code = try withPayload(of: payload, in: buffer) { (bytes) throws(WebSocketError) in try ClosePayload.code(of: bytes) }
            isFinished = true
            let skipped = min(2, payload.count)
            return .close(
                code: code, reason: .init(place: payload.place, start: payload.start + skipped, count: payload.count - skipped))
        }
    }

    /// Hands a whole message over, inflated when it has to be.
    private mutating func finish(
        _ message: OpenMessage, _ payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer
    ) throws(WebSocketError) -> WebSocketEvent? {
        self.message = nil
        assembledMessageBytes = 0
        if message.isCompressed, skipsCompressed || skipsCompressedBinary && message.kind == .binary, canSkip {
            assembly = ByteBuffer()
            skipped = (skipped.count + 1, message.kind)
            return nil
        }
        overheadBytes = 0
        var payload = payload
        if message.isCompressed, let inflation {
            var output = inflation.takeBuffer()
            let limit = limits.maxMessageBytes
            try withPayload(of: payload, in: buffer) { (bytes) throws(WebSocketError) in
                try inflation.inflate(bytes, limit: limit, into: &output)
            }
            overheadBytes = max(0, payload.count - output.readableBytes)
            inflated = output
            assembly = ByteBuffer()
            payload = .init(place: .inflated, start: output.readerIndex, count: output.readableBytes)
        }
        var message = message
        if message.kind == .text {
            if message.isCompressed, !message.utf8.accept(inflated.readableBytesSpan) { throw .invalidUTF8 }
            guard message.utf8.isComplete else { throw .invalidUTF8 }
        }
        lent = payload.place
        return message.kind == .text ? .text(payload) : .binary(payload)
    }

    /// Frees what the last event was lent from.
    private mutating func takeBack() {
        guard let place = lent else { return }
        lent = nil
        switch place {
        case .input: break
        case .assembly:
            // A cut control frame lies behind the fragments of the message that goes on.
            if assembledMessageBytes == 0 || isFinished {
                assembly = ByteBuffer()
            } else {
                assembly.moveWriterIndex(to: assembledMessageBytes)
            }
        case .inflated:
            var buffer = ByteBuffer()
            swap(&buffer, &inflated)
            inflation?.giveBack(buffer)
        }
    }

    private mutating func finish() {
        isFinished = true
        frame = nil
        forgetMessage()
        inflated = ByteBuffer()
    }

    private mutating func forgetMessage() {
        message = nil
        assembly = ByteBuffer()
        assembledMessageBytes = 0
    }
}
