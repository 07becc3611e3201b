import GatewayCore
import GatewayWebSocket
import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Who speaks over a WebSocket to an upstream.
protocol SocketOwner: AnyObject {
    func socketOpened()
    /// A whole text message, valid UTF-8.
    func socket(text: RawSpan)
    func socket(binary: RawSpan)
    /// What waits may go on: the socket takes bytes again.
    func socketIsWritable()
    /// Last, and once. Nil: closed in order.
    func socketClosed(_ failure: CallFailure?)
}

/// The gateway's end of a WebSocket to an upstream. What is written within one go of the event loop leaves in one write.
final class UpstreamSocketHandler: ChannelDuplexHandler, UpgradedSocket {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case waiting, open, closing, closed
    }

    /// Let go of at the end. An object that has ever had a weak reference pays for every other one.
    private var owner: (any SocketOwner)?
    private var reader: MessageReader
    private let serializer = FrameSerializer(role: .client)
    private var masks = MaskingKeys()
    private var state = State.waiting
    private var early = ByteBuffer()
    private var output = ByteBuffer()
    private var isFlushing = false
    private var isPaused = false
    private var wantsRead = false
    /// What of a read waits for another go of the event loop.
    private var left: ByteBuffer?
    private var context: ChannelHandlerContext?
    /// The newest ping that couldn't be answered yet (RFC 6455 §5.5.3 asks for no more).
    private var pendingPong: [UInt8]?
    /// The payload of our last ping.
    private var lastPing: UInt64 = 0
    private var progress = OutboundProgress()
    /// Whole messages, and answers to our pings: whatever else comes doesn't show that the upstream still works.
    private(set) var signsOfLife: UInt64 = 0

    /// Between our close frame and the end.
    private static let patience = TimeAmount.seconds(1)
    /// Bytes put together for one write.
    private static let writeSize = 65_536
    /// Pongs that are gathered for one write; of further pings only the newest is answered.
    private static let pongBytes = 8192
    /// Messages are taken for so long in a row, about what others wait, and then the other sockets are served.
    private static let slice = TimeAmount.microseconds(100)
    /// After a slice. Any time that isn't over yet makes the loop look at its sockets.
    private static let pause = TimeAmount.microseconds(20)

    init(owner: any SocketOwner, maxMessageBytes: Int) {
        self.owner = owner
        reader = MessageReader(role: .client, limits: WebSocketLimits(maxMessageBytes: maxMessageBytes, maxFragments: 1024))
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end(.brokenOff("the connection is gone"))
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
        // At the end of a connection all that there is comes, whether it was asked for or not.
        case .open: if left == nil { read(buffer, context: context) } else { left?.writeBuffer(&buffer) }
        case .closing, .closed: return
        }
    }

    /// - Parameter limit: when the rest is left for another go; by default after a slice
    private func read(_ buffer: ByteBuffer, until limit: NIODeadline = .now() + slice, context: ChannelHandlerContext) {
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
                case .ping(let payload): reader.withPayload(of: payload, in: buffer) { answerPing($0) }
                case .pong(let payload): if reader.withPayload(of: payload, in: buffer, isAnswer) { signsOfLife &+= 1 }
                case .close(let code, _):
                    pendingPong = nil
                    serializer.writeClose(code, reason: RawSpan(), to: &output)
                    flush()
                    end(code == 1000 || code == 1001 ? nil : .brokenOff("closed with \(code.map(String.init) ?? "no code")"))
                    context.close(promise: nil)
                }
                if buffer.readableBytes > 0, NIODeadline.now() >= limit { return leave(buffer, context: context) }
            }
        } catch {
            pendingPong = nil
            serializer.writeClose(error.closeCode.rawValue, to: &output)
            flush()
            end(error == .messageTooBig ? .tooLong("a message is longer than max_message_bytes") : .invalid("WebSocket: \(error.reason)"))
            context.close(promise: nil)
        }
    }

    /// Pings are answered one by one while the socket takes the answers; of those that have to wait only the newest is kept.
    private func answerPing(_ payload: RawSpan) {
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

    private func isAnswer(_ pong: RawSpan) -> Bool {
        pong.byteCount == 8 && lastPing > 0 && UInt64(bigEndian: pong.unsafeLoadUnaligned(as: UInt64.self)) == lastPing
    }

    private func leave(_ buffer: ByteBuffer, context: ChannelHandlerContext) {
        left = buffer
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in goOn() }
    }

    /// Nothing follows: what was left is heard before the end.
    private func takeRest(_ context: ChannelHandlerContext) {
        if let buffer = left.take(), state == .open { read(buffer, until: .distantFuture, context: context) }
    }

    private func goOn() {
        guard !isPaused, let context else { return }
        if let buffer = left.take(), state == .open { read(buffer, context: context) }
        if wantsRead { read(context: context) }
    }

    /// Leaves what comes unread, but for what is being taken. Not for sockets that several requests share.
    func setPaused(_ paused: Bool) {
        isPaused = paused
        goOn()
    }

    func read(context: ChannelHandlerContext) {
        wantsRead = isPaused || left != nil
        if !wantsRead { context.read() }
    }

    // MARK: Writing

    var isWritable: Bool { state == .open && context?.channel.isWritable ?? false && output.readableBytes < Self.writeSize }

    func write(text: [UInt8]) { write(.text, text.span.bytes) }

    /// - Parameter prefix: goes before the bytes
    func write(binary: [UInt8], prefix: UInt32? = nil) {
        guard let prefix else { return write(.binary, binary.span.bytes) }
        var whole: [UInt8] = []
        whole.reserveCapacity(binary.count + 4)
        for shift in [24, 16, 8, 0] as [UInt32] { whole.append(UInt8(truncatingIfNeeded: prefix >> shift)) }
        whole += binary
        write(.binary, whole.span.bytes)
    }

    /// An answer to it is a sign of life.
    func ping() {
        lastPing &+= 1
        var payload: [UInt8] = []
        for shift in stride(from: 56, through: 0, by: -8) { payload.append(UInt8(truncatingIfNeeded: lastPing >> UInt64(shift))) }
        write(.ping, payload.span.bytes)
    }

    /// Bytes that wait for the socket: for the next write, and for the system.
    var pendingBytes: Int { output.readableBytes + (context.map(bufferedBytes) ?? 0) }

    private func bufferedBytes(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// Whether bytes wait and the system has taken none of them for `limit` nanoseconds. To be asked regularly.
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
        // After everything that the loop has read in this go: what several sessions say goes out together.
        context.eventLoop.assumeIsolated().execute { [self] in flush() }
    }

    func flush() {
        isFlushing = false
        guard let context else { return }
        if state == .open, context.channel.isWritable, let pong = pendingPong.take() { pong.withRawSpan { writePong($0) } }
        guard output.readableBytes > 0 else { return }
        let count = output.readableBytes
        progress.handOver(count)
        var bytes = ByteBuffer()
        swap(&bytes, &output)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        // The buffer is reused if the system took all of it at once, and nothing was written meanwhile.
        if output.storageCapacity == 0, bytes.storageCapacity <= Self.writeSize, bytes.modifyIfUniquelyOwned({ $0.clear() }) != nil {
            output = bytes
        }
        // The system took it at once: nothing else says that there is room again.
        if count >= Self.writeSize, isWritable { owner?.socketIsWritable() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            if pendingPong != nil { scheduleFlush() }
            owner?.socketIsWritable()
        }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Ends

    /// Ends it in order; nothing is reported any more.
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
        context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
    }

    private func end(_ failure: CallFailure?) {
        guard state != .closed else { return }
        state = .closed
        let owner = owner
        self.owner = nil
        owner?.socketClosed(failure)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        takeRest(context)
        end(.brokenOff(ClientFailure.text(error)))
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        takeRest(context)
        end(.brokenOff("the connection ended without a close frame"))
        context.fireChannelInactive()
    }
}

/// Masking keys from the system's source of randomness, drawn many at a time.
private struct MaskingKeys {
    /// As much as `getentropy` gives at a time.
    private var keys = [UInt32](repeating: 0, count: 64)
    private var left = 0

    mutating func next() -> MaskingKey {
        if left == 0 {
            // It fails where the kernel knows no such call, which none that Swift runs on is.
            guard keys.withUnsafeMutableBytes({ getentropy($0.baseAddress, $0.count) }) == 0 else { return .random() }
            left = keys.count
        }
        left -= 1
        return MaskingKey(littleEndian: keys[left])
    }
}
