// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayWebSocket
import NIOCore
import ParleyClient

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The receiver of the events of a WebSocket to an upstream.
protocol SocketOwner: AnyObject {
    func socketOpened()
    /// A complete text message, valid UTF-8.
    func socket(text: RawSpan)
    func socket(binary: RawSpan)
    /// The socket is writable again.
    func socketIsWritable()
    /// The socket's last event, reported once. Nil after a normal closure.
    func socketClosed(_ failure: CallFailure?)
}

/// The gateway's end of a WebSocket to an upstream. Messages written in the same pass of the event loop are sent with one system call.
final class UpstreamSocketHandler: ChannelDuplexHandler, UpgradedSocket {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case waiting, open, closing, closed
    }

    /// Set to nil at the end. Not weak: a first weak reference makes all later reference counting of the owner slower.
    private var owner: (any SocketOwner)?
    private var reader: MessageReader
    private let serializer = FrameSerializer(role: .client)
    private var masks = MaskingKeys()
    private var state = State.waiting
    /// Bytes received before ``begin()``.
    private var early = ByteBuffer()
    private var output = ByteBuffer()
    private var isFlushing = false
    private var isPaused = false
    private var wantsRead = false
    /// The unparsed rest of a read, deferred to a later pass of the event loop.
    private var remaining: ByteBuffer?
    private var context: ChannelHandlerContext?
    /// The payload of the newest ping without a pong. Older ones need no pong (RFC 6455 §5.5.3).
    private var pendingPong: [UInt8]?
    /// The payload of the gateway's last ping.
    private var lastPing: UInt64 = 0
    private var progress = OutboundProgress()
    /// Number of complete messages, and of pongs to the gateway's pings. Nothing else shows that the upstream still works.
    private(set) var signsOfLife: UInt64 = 0

    /// Time between sending a close frame and closing the connection.
    private static let closeTimeout = TimeAmount.seconds(1)
    /// Bytes collected for one write.
    private static let writeSize = 65_536
    /// Maximum bytes of pongs in one write. Beyond this limit, only the newest ping gets a pong.
    private static let pongBytes = 8192
    /// Maximum time for parsing messages before the event loop serves other sockets.
    private static let timeSlice = TimeAmount.microseconds(100)
    /// Time between two time slices. Any positive delay makes the event loop poll its sockets in between.
    private static let pause = TimeAmount.microseconds(20)

    init(owner: any SocketOwner, maxMessageBytes: Int) {
        self.owner = owner
        reader = MessageReader(role: .client, limits: WebSocketLimits(maxMessageBytes: maxMessageBytes, maxFragments: 1024))
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end(.incompleteResponse("the connection was closed"))
    }

    func begin() {
        guard let context, state == .waiting else { return }
        state = .open
        owner?.socketOpened()
        guard early.readableBytes > 0 else { return }
        let bytes = early
        early = ByteBuffer()
        read(bytes, context: context)
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        switch state {
        case .waiting: early.writeBuffer(&buffer)
        // When a connection ends, the channel delivers all remaining data, requested or not.
        case .open: if remaining == nil { read(buffer, context: context) } else { remaining?.writeBuffer(&buffer) }
        case .closing, .closed: return
        }
    }

    /// Parses messages until `limit` and defers the rest.
    ///
    /// - Parameter limit: by default the end of the current time slice
    private func read(_ buffer: ByteBuffer, until limit: NIODeadline = .now() + timeSlice, context: ChannelHandlerContext) {
        var buffer = buffer
        do throws(WebSocketError) {
            while state == .open, let event = try reader.next(in: &buffer) {
                switch event {
                case .text(let payload):
                    signsOfLife &+= 1
                    reader.withPayload(of: payload, in: buffer) { owner?.socket(text: $0) }
                case .binary(let payload):
                    signsOfLife &+= 1
                    reader.withPayload(of: payload, in: buffer) { owner?.socket(binary: $0) }
                case .ping(let payload): reader.withPayload(of: payload, in: buffer) { handlePing($0) }
                case .pong(let payload): if reader.withPayload(of: payload, in: buffer, isExpectedPong) { signsOfLife &+= 1 }
                case .close(let code, _):
                    pendingPong = nil
                    serializer.writeClose(code, reason: RawSpan(), to: &output)
                    flush()
                    end(code == 1000 || code == 1001 ? nil : .incompleteResponse("closed with \(code.map(String.init) ?? "no code")"))
                    context.close(promise: nil)
                }
                if buffer.readableBytes > 0, NIODeadline.now() >= limit { return deferReading(buffer, context: context) }
            }
        } catch {
            pendingPong = nil
            serializer.writeClose(error.closeCode.rawValue, to: &output)
            flush()
            end(error == .messageTooBig ? .tooLong("a message is longer than max_message_bytes") : .invalid("WebSocket: \(error.reason)"))
            context.close(promise: nil)
        }
    }

    /// Writes a pong for each ping while the socket is writable; otherwise keeps only the newest ping.
    private func handlePing(_ payload: RawSpan) {
        if isWritable, output.readableBytes < Self.pongBytes {
            writePong(payload)
        } else {
            var newest: [UInt8] = []
            newest.append(bytesOf: payload)
            pendingPong = newest
        }
        scheduleFlush()
    }

    private func writePong(_ payload: RawSpan) {
        serializer.write(.pong, payload, isFinal: true, isCompressed: false, maskingKey: masks.next(), to: &output)
    }

    private func isExpectedPong(_ pong: RawSpan) -> Bool {
        pong.byteCount == 8 && lastPing > 0 && UInt64(bigEndian: pong.unsafeLoadUnaligned(as: UInt64.self)) == lastPing
    }

    private func deferReading(_ buffer: ByteBuffer, context: ChannelHandlerContext) {
        remaining = buffer
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in continueReading() }
    }

    /// Parses the deferred rest, before the end of the connection is reported.
    private func readRemaining(_ context: ChannelHandlerContext) {
        if let buffer = remaining.take(), state == .open { read(buffer, until: .distantFuture, context: context) }
    }

    private func continueReading() {
        guard !isPaused, let context else { return }
        if let buffer = remaining.take(), state == .open { read(buffer, context: context) }
        if wantsRead { read(context: context) }
    }

    /// Pauses or resumes reading. The message being parsed is still delivered. Not for sockets shared by several requests.
    func setPaused(_ paused: Bool) {
        isPaused = paused
        continueReading()
    }

    func read(context: ChannelHandlerContext) {
        wantsRead = isPaused || remaining != nil
        if !wantsRead { context.read() }
    }

    // MARK: Writing

    var isWritable: Bool { state == .open && context?.channel.isWritable ?? false && output.readableBytes < Self.writeSize }

    func write(text: [UInt8]) { write(.text, text.span.bytes) }

    /// - Parameter prefix: a request number, written in front of the bytes in big-endian order
    func write(binary: [UInt8], prefix: UInt32? = nil) {
        guard let prefix else { return write(.binary, binary.span.bytes) }
        var whole: [UInt8] = []
        whole.reserveCapacity(binary.count + 4)
        for shift in [24, 16, 8, 0] as [UInt32] { whole.append(UInt8(truncatingIfNeeded: prefix >> shift)) }
        whole += binary
        write(.binary, whole.span.bytes)
    }

    /// Sends a ping. Its pong counts as a sign of life.
    func ping() {
        lastPing &+= 1
        var payload: [UInt8] = []
        for shift in stride(from: 56, through: 0, by: -8) { payload.append(UInt8(truncatingIfNeeded: lastPing >> UInt64(shift))) }
        write(.ping, payload.span.bytes)
    }

    /// Bytes that the system hasn't accepted yet: collected for the next write, or buffered in the channel.
    var pendingBytes: Int { output.readableBytes + (context.map(bufferedBytes) ?? 0) }

    private func bufferedBytes(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// Whether bytes are pending and the system has accepted none of them for `limit` nanoseconds. To be called regularly.
    func isStuck(for limit: Int64, at now: Instant) -> Bool {
        guard let context else { return false }
        return progress.isStuck(for: limit, pending: bufferedBytes(context), at: now)
    }

    /// Whether a message has begun and isn't complete.
    var isWithinMessage: Bool { reader.isWithinMessage }

    private func write(_ opcode: Opcode, _ payload: RawSpan) {
        guard state == .open else { return }
        serializer.write(opcode, payload, isFinal: true, isCompressed: false, maskingKey: masks.next(), to: &output)
        scheduleFlush()
    }

    private func scheduleFlush() {
        guard !isFlushing, let context else { return }
        isFlushing = true
        // Runs after all input of this pass is handled, so that messages of several sessions share one write.
        context.eventLoop.assumeIsolated().execute { [self] in flush() }
    }

    func flush() {
        isFlushing = false
        guard let context else { return }
        if state == .open, context.channel.isWritable, let pong = pendingPong.take() { pong.withRawSpan { writePong($0) } }
        guard output.readableBytes > 0 else { return }
        let count = output.readableBytes
        progress.addWritten(count)
        var bytes = ByteBuffer()
        swap(&bytes, &output)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        // The buffer is reused if the system accepted all of it immediately and nothing was written meanwhile.
        if output.storageCapacity == 0, bytes.storageCapacity <= Self.writeSize, bytes.modifyIfUniquelyOwned({ $0.clear() }) != nil {
            output = bytes
        }
        // The system accepted everything immediately, so no writability change follows.
        if count >= Self.writeSize, isWritable { owner?.socketIsWritable() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            if pendingPong != nil { scheduleFlush() }
            owner?.socketIsWritable()
        }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Closing

    /// Performs the closing handshake. Nothing is reported afterwards.
    func close(_ code: CloseCode = .normal) {
        owner = nil
        guard let context else { return }
        guard state == .open else {
            state = .closed
            return context.close(promise: nil)
        }
        pendingPong = nil
        serializer.writeClose(code.rawValue, to: &output)
        flush()
        state = .closing
        let channel = context.channel
        context.eventLoop.scheduleTask(in: Self.closeTimeout) { channel.close(promise: nil) }
    }

    private func end(_ failure: CallFailure?) {
        guard state != .closed else { return }
        state = .closed
        let owner = owner
        self.owner = nil
        owner?.socketClosed(failure)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        readRemaining(context)
        end(.incompleteResponse(ConnectionErrorText.text(error)))
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        readRemaining(context)
        end(.incompleteResponse("the connection ended without a close frame"))
        context.fireChannelInactive()
    }
}

/// Masking keys from the system's random number generator, drawn in batches.
private struct MaskingKeys {
    /// 256 bytes, the maximum of one `getentropy` call.
    private var keys = [UInt32](repeating: 0, count: 64)
    private var remaining = 0

    mutating func next() -> MaskingKey {
        if remaining == 0 {
            // Fails only on kernels without the system call, on which Swift doesn't run.
            guard keys.withUnsafeMutableBytes({ getentropy($0.baseAddress, $0.count) }) == 0 else { return .random() }
            remaining = keys.count
        }
        remaining -= 1
        return MaskingKey(littleEndian: keys[remaining])
    }
}
