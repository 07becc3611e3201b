package import NIOCore

/// TLS for whatever stands behind it in the pipeline: ciphertext on the side of the socket, plaintext on the other. The handlers behind
/// run unchanged without it.
///
/// - Inbound user event ``TLSHandshakeCompleted`` when the handshake is done. Until then nothing is read, and writes wait.
/// - `errorCaught` with ``TLSError`` for everything that goes wrong; the channel is closed after it, but for `plainHTTP`, where only the
///   sending side is, so that the peer can read the answer. ``TLSError/truncated`` comes once, before `channelInactive`.
/// - The peer's close_notify is `ChannelEvent.inputClosed` when the channel allows half-closure, and else closes the channel.
/// - `close(mode: .output)` sends close_notify and closes TCP's sending side; `close()` sends close_notify and closes.
///
/// All writes of one flush leave in as few records as they fit in. A read hands on what one read of the socket carried, in one buffer that
/// belongs to the loop: it may be kept, but whoever keeps a few bytes of it for long should copy them.
/// The deadline of the handshake isn't this handler's, only its size (64 KiB).
package final class TLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Not connected yet.
        case waiting
        case handshaking
        case established
        /// Plain HTTP was answered; what still comes is dropped.
        case refused
        /// Nothing goes in or out any more.
        case closed
    }

    /// Who takes plaintext without the detour over the pipeline, whose boxes keep a second reference to every buffer. Let go of at the end.
    package var receiver: (any PlaintextReceiver)?

    /// Bytes of the socket that are held because their record isn't complete, or isn't decrypted yet.
    package var receivedBytes: Int { connection.partialRecordBytes + connection.incoming.readableBytes }

    let connection: TLSConnection
    let buffers: TLSBuffers
    var phase = Phase.waiting
    var context: ChannelHandlerContext?
    var descriptor: NIOBSDSocket.Handle?
    /// Writes that the channel has and the kernel hasn't.
    var queuedWrites = 0

    /// Whether close_notify was sent.
    var isOutputClosed = false
    /// A `close(mode: .output)` that waits for the end of the handshake.
    var deferredOutputClose: DeferredClose?

    /// Writes in order; the first `flushedWrites` may leave, the first `sealedWrites` have.
    var writes: [PendingTLSWrite] = []
    var flushedWrites = 0
    var sealedWrites = 0
    var isSealing = false

    /// Whether the peer's close_notify, or the end without it, was told.
    private var isInputClosed = false
    private var isReading = false
    /// Whether someone behind us asked for bytes and got none yet.
    private var isReadWanted = false
    /// Only the first bytes that a server gets can be plain HTTP.
    private var expectsHello: Bool
    private let makeCorrelationID: (() -> String)?

    struct DeferredClose {
        var promise: EventLoopPromise<Void>?
    }

    /// The server's side.
    ///
    /// - Parameters:
    ///   - buffers: those of the event loop that the channel runs on.
    ///   - correlationID: names the problem in the answer to plain HTTP; called at most once.
    package init(server context: TLSContext, buffers: TLSBuffers, correlationID: @escaping () -> String) throws(TLSError) {
        guard let connection = context.makeConnection(buffers: buffers) else { throw .outOfMemory }
        self.connection = connection
        self.buffers = buffers
        self.expectsHello = true
        self.makeCorrelationID = correlationID
    }

    /// The client's side; `buffers` are those of the event loop that the channel runs on.
    package init(client context: TLSClientContext, buffers: TLSBuffers) throws(TLSError) {
        guard let connection = context.makeConnection(buffers: buffers) else { throw .outOfMemory }
        self.connection = connection
        self.buffers = buffers
        self.expectsHello = false
        self.makeCorrelationID = nil
    }

    // MARK: Beginning

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        descriptor = findDescriptor(context)
        if context.channel.isActive { begin(context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard phase == .waiting else { return }
        phase = .handshaking
        if !expectsHello { continueHandshake(context) }
        // A handshake must go on although nobody behind us reads yet.
        context.read()
    }

    private func continueHandshake(_ context: ChannelHandlerContext) {
        buffers.expectCiphertext(4096)
        let progress = connection.handshake()
        sendCiphertext(context)
        switch progress {
        case .wantsMore: break
        case .failed(let error): fail(context, error)
        case .done:
            phase = .established
            context.fireUserInboundEventTriggered(connection.summary())
            sealFlushed(context)
            if let close = deferredOutputClose {
                deferredOutputClose = nil
                closeOutput(context, promise: close.promise)
            }
        }
    }

    // MARK: Reading

    package func read(context: ChannelHandlerContext) {
        isReadWanted = true
        context.read()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        defer { buffers.giveBack(buffer) }
        guard phase == .handshaking || phase == .established, !isInputClosed else { return }
        if connection.incoming.readableBytes == 0 {
            connection.incoming = buffer
        } else {
            connection.incoming.writeBuffer(&buffer)
        }
        // Called from inside `fireChannelRead`: the loop further up takes these bytes too.
        guard !isReading else { return }
        isReading = true
        defer { isReading = false }
        if expectsHello, refusesPlainHTTP(context) { return }
        if phase == .handshaking { continueHandshake(context) }
        if phase == .established { decrypt(context) }
        connection.incoming = ByteBuffer()
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        // A receiver has its bytes already, and nobody behind it waits for any.
        if receiver == nil { context.fireChannelReadComplete() }
        // What was read may have been half a record: then whoever asked for bytes is still waiting. For a receiver the next bytes are
        // asked for here, since the channel would ask for them through the whole pipeline.
        if phase == .handshaking || isReadWanted || receiver != nil { context.read() }
    }

    private func decrypt(_ context: ChannelHandlerContext) {
        while phase == .established, !isInputClosed {
            buffers.plaintext.clear(minimumCapacity: min(max(connection.incoming.readableBytes, 1024), TLSBuffers.capacity))
            let progress = connection.read(into: &buffers.plaintext)
            sendCiphertext(context)
            if buffers.plaintext.readableBytes > 0 {
                isReadWanted = false
                deliver(context)
            }
            switch progress {
            case .full: continue
            case .drained:
                if connection.incoming.readableBytes == 0 { return }
            case .closed:
                return inputEnded(context)
            case .failed(let error):
                return fail(context, error)
            }
        }
    }

    /// Hands on what was decrypted: to the receiver in place, where there is one, else through the pipeline.
    private func deliver(_ context: ChannelHandlerContext) {
        guard let receiver else { return context.fireChannelRead(wrapInboundOut(buffers.plaintext)) }
        // Moved out and back, so that the receiver holds the only reference and may unmask where the bytes lie.
        var plaintext = ByteBuffer()
        swap(&plaintext, &buffers.plaintext)
        receiver.receive(&plaintext)
        swap(&plaintext, &buffers.plaintext)
    }

    /// Whether no TLS will come of these bytes for now: they are plain HTTP, or too few to tell.
    private func refusesPlainHTTP(_ context: ChannelHandlerContext) -> Bool {
        switch PlainHTTP.verdict(of: connection.incoming) {
        case .undecided:
            return true
        case .other:
            expectsHello = false
            return false
        case .request(let hasBody):
            expectsHello = false
            phase = .refused
            connection.incoming = ByteBuffer()
            failWrites(TLSError.plainHTTP)
            let answer = PlainHTTP.refusal(
                correlationID: makeCorrelationID?() ?? "", hasBody: hasBody, allocator: context.channel.allocator)
            transmit(answer, context: context, promise: nil)
            context.close(mode: .output, promise: nil)
            context.fireErrorCaught(TLSError.plainHTTP)
            return true
        }
    }

    // MARK: Ends

    /// The peer's close_notify.
    private func inputEnded(_ context: ChannelHandlerContext) {
        guard phase == .established, !isInputClosed else { return }
        isInputClosed = true
        let allowsHalfClosure = try? context.channel.syncOptions?.getOption(.allowRemoteHalfClosure)
        if isOutputClosed || allowsHalfClosure != true {
            close(context: context, mode: .all, promise: nil)
        } else {
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed? = event as? ChannelEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        // TCP's end. Everything behind us hears of an end once, and without close_notify hears of that first.
        switch phase {
        case .waiting, .handshaking: fail(context, .closedDuringHandshake)
        case .refused: context.close(promise: nil)
        case .established where !isInputClosed:
            isInputClosed = true
            if !isOutputClosed { context.fireErrorCaught(TLSError.truncated) }
            context.fireUserInboundEventTriggered(event)
        case .established, .closed: break
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        let error: TLSError? =
            switch phase {
            case .handshaking: .closedDuringHandshake
            case .established where !isInputClosed && !isOutputClosed: .truncated
            case .waiting, .established, .refused, .closed: nil
            }
        phase = .closed
        failWrites(ChannelError.ioOnClosedChannel)
        if let error { context.fireErrorCaught(error) }
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        phase = .closed
        failWrites(ChannelError.ioOnClosedChannel)
        receiver = nil
        descriptor = nil
        self.context = nil
    }

    /// Tells the peer by the alert that OpenSSL made, then everybody behind us, then closes.
    func fail(_ context: ChannelHandlerContext, _ error: TLSError) {
        guard phase != .closed else { return }
        phase = .closed
        sendCiphertext(context)
        failWrites(error)
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    /// Sends what OpenSSL wrote by itself. The loop's buffer must be empty before control goes to anyone else.
    func sendCiphertext(_ context: ChannelHandlerContext) {
        guard let ciphertext = buffers.takeCiphertext() else { return }
        transmit(ciphertext, context: context, promise: nil)
    }
}

@available(*, unavailable)
extension TLSHandler: Sendable {}
