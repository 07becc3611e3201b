// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import NIOCore

/// Parses a peer's bytes into messages: frames, fragments, UTF-8, permessage-deflate and limits (RFC 6455 §5–§8, RFC 7692).
///
/// A frame that is complete in the read buffer is unmasked and accessed in place: no copy, no allocation. Only frames that are split by the
/// end of a read, and fragments, are copied into a buffer, which grows with the received bytes and is freed after the event. The read
/// buffer must not be shared with another `ByteBuffer` value, or unmasking copies it.
package struct MessageReader: ~Copyable {
    private struct OpenFrame {
        let header: FrameHeader
        /// The received bytes of the payload.
        var received = 0
    }

    private struct OpenMessage {
        let kind: MessageKind
        let isCompressed: Bool
        /// The sum of the payload sizes in the frame headers so far, never over the limit.
        var declaredBytes = 0
        /// The number of frames so far.
        var fragments = 0
        var utf8 = UTF8Validator()
    }

    package let limits: WebSocketLimits
    private var parser: FrameParser
    private let inflation: Inflation?
    private var frame: OpenFrame?
    private var message: OpenMessage?
    /// The bytes of the open message, followed by those of a control frame that was split by the end of a read.
    private var assembly = ByteBuffer()
    private var assembledMessageBytes = 0
    private var inflated = ByteBuffer()
    private var borrowedStorage: WebSocketEvent.Payload.Storage?
    /// Whether a close frame or an error ended the stream: later bytes aren't parsed (RFC 6455 §1.4, §7.1.7).
    package private(set) var isFinished = false
    /// The bytes by which the last message's payload on the wire exceeded the inflated message; 0 without compression.
    package private(set) var overheadBytes = 0
    private var isDiscarding = false
    /// Whether compressed messages are skipped and counted instead of inflated; no effect with context takeover (see ``canSkip``).
    package var skipsCompressed = false
    /// Whether compressed binary messages are skipped.
    package var skipsCompressedBinary = false
    /// The number of skipped messages and the kind of the last one.
    private var skipped: (count: Int, kind: MessageKind) = (0, .text)

    /// - Parameters:
    ///   - compression: the negotiated parameters and the event loop's zlib state; nil without permessage-deflate.
    package init(role: WebSocketRole, limits: WebSocketLimits, compression: (agreement: CompressionAgreement, shared: SharedDeflate)? = nil)
    {
        self.limits = limits
        self.parser = FrameParser(role: role, allowsCompression: compression != nil)
        self.inflation = compression.map { Inflation($0.agreement, reader: role, shared: $0.shared) }
    }

    /// Whether compressed messages can be skipped: with permessage-deflate but without context takeover.
    package var canSkip: Bool { inflation.map { !$0.keepsContext } ?? false }

    /// Returns the number of messages skipped since the last call and the kind of the last one, and resets the number.
    package mutating func takeSkipped() -> (count: Int, kind: MessageKind) {
        defer { skipped.count = 0 }
        return skipped
    }

    /// The bytes of memory for buffered payloads: 0 between messages.
    package var bufferedBytes: Int { assembly.storageCapacity + inflated.storageCapacity }

    /// The bytes of an incomplete frame header.
    package var partialHeaderBytes: Int { parser.partialCount }

    /// Whether a message is incomplete.
    package var isWithinMessage: Bool { message != nil }

    /// The bytes of zlib state of this connection: 0 without context takeover.
    package var deflateStateBytes: Int { inflation?.ownBytes ?? 0 }

    /// Parses the next event. Must be called until it returns nil; then all readable bytes are consumed.
    ///
    /// - Parameter buffer: the received bytes. Bytes up to the end of the event's frame are consumed but stay in place until the next call;
    ///   the buffer must not be written to, cleared or compacted while the event is in use.
    /// - Returns: nil when more bytes are needed, and always after a close frame or an error.
    /// - Throws: the violated rule. The connection must be closed with its code.
    package mutating func next(in buffer: inout ByteBuffer) throws(WebSocketError) -> WebSocketEvent? {
        releasePayload()
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
                if let event = try consumePayload(from: &buffer) { return event }
                if frame != nil { return nil }
            }
        } catch {
            finish()
            throw error
        }
    }

    /// Discards all further messages without buffering or inflating them. Control frames and frame limits still apply.
    package mutating func discardMessages() { isDiscarding = true }

    /// Calls `body` with the bytes of an event's payload.
    ///
    /// - Parameters:
    ///   - buffer: the buffer passed to ``next(in:)``.
    ///   - body: must neither call this reader nor modify the buffer.
    package func withPayload<Result, Thrown: Error>(
        of payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer, _ body: (RawSpan) throws(Thrown) -> Result
    ) throws(Thrown) -> Result {
        let range = payload.start..<payload.start + payload.count
        func withSlice(_ bytes: UnsafeRawBufferPointer) throws(Thrown) -> Result {
            try body(bytes.bytes.extracting(range))
        }
        // The bytes are before the reader index and thus accessed through the storage, whose bounds are checked.
        switch payload.storage {
        case .input: return try buffer.withVeryUnsafeBytes(withSlice)
        case .assembly: return try assembly.withVeryUnsafeBytes(withSlice)
        case .inflated: return try inflated.withVeryUnsafeBytes(withSlice)
        }
    }

    /// Checks a header against the open message and the limits, before any payload is buffered.
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
        guard header.payloadCount <= limits.maxMessageBytes - open.declaredBytes else { throw .messageTooBig }
        open.declaredBytes += header.payloadCount
        message = open
    }

    /// Consumes the available payload of the open frame.
    ///
    /// - Returns: the completed event, if any. Sets `frame` to nil when the frame is complete.
    private mutating func consumePayload(from buffer: inout ByteBuffer) throws(WebSocketError) -> WebSocketEvent? {
        guard var open = frame else { return nil }
        let header = open.header
        let earlier = open.received
        let count = min(header.payloadCount - earlier, buffer.readableBytes)
        if count > 0, let key = header.maskingKey {
            buffer.withUnsafeMutableReadableBytes {
                key.apply(to: UnsafeMutableRawBufferPointer(rebasing: $0[..<count]), phase: earlier)
            }
        }
        open.received += count
        let isWhole = open.received == header.payloadCount
        frame = isWhole ? nil : open
        defer { buffer.moveReaderIndex(forwardBy: count) }

        if header.opcode.isControl {
            if isWhole, earlier == 0 {
                return try controlEvent(header.opcode, .init(storage: .input, start: buffer.readerIndex, count: count), in: buffer)
            }
            assemble(count, of: buffer)
            guard isWhole else { return nil }
            return try controlEvent(
                header.opcode, .init(storage: .assembly, start: assembledMessageBytes, count: header.payloadCount), in: buffer)
        }

        let isLast = isWhole && header.isFinal
        guard !isDiscarding else {
            if isLast { resetMessage() }
            return nil
        }
        guard var message else { return nil }
        if message.kind == .text, !message.isCompressed {
            guard message.utf8.accept(buffer.readableBytesSpan.extracting(first: count)) else { throw .invalidUTF8 }
        }
        self.message = message
        if isLast, assembledMessageBytes == 0 {
            return try finish(message, .init(storage: .input, start: buffer.readerIndex, count: count), in: buffer)
        }
        assemble(count, of: buffer)
        assembledMessageBytes += count
        guard isLast else { return nil }
        return try finish(message, .init(storage: .assembly, start: 0, count: assembledMessageBytes), in: buffer)
    }

    private mutating func assemble(_ count: Int, of buffer: borrowing ByteBuffer) {
        guard count > 0 else { return }
        assembly.writeBytes(buffer.readableBytesSpan.extracting(first: count))
    }

    private mutating func controlEvent(
        _ opcode: Opcode, _ payload: WebSocketEvent.Payload, in buffer: borrowing ByteBuffer
    ) throws(WebSocketError) -> WebSocketEvent {
        borrowedStorage = payload.storage
        switch opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        default:
            let code = try withPayload(of: payload, in: buffer) { (bytes) throws(WebSocketError) in try ClosePayload.code(of: bytes) }
            isFinished = true
            let skipped = min(2, payload.count)
            return .close(
                code: code, reason: .init(storage: payload.storage, start: payload.start + skipped, count: payload.count - skipped))
        }
    }

    /// Returns a complete message, inflated if necessary.
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
            payload = .init(storage: .inflated, start: output.readerIndex, count: output.readableBytes)
        }
        var message = message
        if message.kind == .text {
            if message.isCompressed, !message.utf8.accept(inflated.readableBytesSpan) { throw .invalidUTF8 }
            guard message.utf8.isComplete else { throw .invalidUTF8 }
        }
        borrowedStorage = payload.storage
        return message.kind == .text ? .text(payload) : .binary(payload)
    }

    /// Frees the buffer of the last event's payload.
    private mutating func releasePayload() {
        guard let storage = borrowedStorage else { return }
        borrowedStorage = nil
        switch storage {
        case .input: break
        case .assembly:
            // A split control frame follows the fragments of the open message.
            if assembledMessageBytes == 0 || isFinished {
                assembly = ByteBuffer()
            } else {
                assembly.moveWriterIndex(to: assembledMessageBytes)
            }
        case .inflated:
            var buffer = ByteBuffer()
            swap(&buffer, &inflated)
            inflation?.recycle(buffer)
        }
    }

    private mutating func finish() {
        isFinished = true
        frame = nil
        resetMessage()
        inflated = ByteBuffer()
    }

    private mutating func resetMessage() {
        message = nil
        assembly = ByteBuffer()
        assembledMessageBytes = 0
    }
}
