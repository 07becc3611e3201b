// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A TLS handler: ciphertext on the socket's side of the pipeline, plaintext on the other. The handlers after it also work without TLS.
///
/// - Fires the inbound user event ``TLSHandshakeCompleted`` after the handshake. Until then nothing is read, and writes wait.
/// - Fires `errorCaught` with a ``TLSError`` on failure and closes the channel; for `plainHTTP` only the sending side, so that the peer can
///   read the response. ``TLSError/truncated`` is fired once, before `channelInactive`.
/// - The peer's close_notify fires `ChannelEvent.inputClosed` if the channel allows half-closure, and otherwise closes the channel.
/// - `close(mode: .output)` sends close_notify and closes TCP's sending side; `close()` sends close_notify and closes.
///
/// All writes of one flush are sent in as few records as possible. The plaintext of one read from the socket is passed on in one buffer
/// that the event loop owns: the buffer may be kept, but small parts that are kept for long should be copied.
/// This handler limits the size of the handshake (64 KiB) but not its duration.
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
        /// Plain HTTP was rejected; further inbound bytes are discarded.
        case rejected
        /// Nothing is received or sent any more.
        case closed
    }

    /// The direct receiver of plaintext, bypassing the pipeline, whose boxes keep a second reference to every buffer. Set to nil on
    /// removal.
    package var receiver: (any PlaintextReceiver)?

    /// The received bytes that aren't decrypted yet.
    package var receivedBytes: Int { connection.partialRecordBytes + connection.incoming.readableBytes }

    let connection: TLSConnection
    let buffers: TLSBuffers
    var phase = Phase.waiting
    var context: ChannelHandlerContext?
    var descriptor: NIOBSDSocket.Handle?
    /// The number of writes in the channel's queue.
    var queuedWrites = 0

    /// Whether close_notify was sent.
    var isOutputClosed = false
    /// A `close(mode: .output)` that waits for the end of the handshake.
    var deferredOutputClose: DeferredClose?

    /// The pending writes in order; the first `flushedWrites` are flushed, the first `sealedWrites` sealed.
    var writes: [PendingTLSWrite] = []
    var flushedWrites = 0
    var sealedWrites = 0
    var isSealing = false

    /// Whether the end of input was reported, with close_notify or without.
    private var isInputClosed = false
    private var isReading = false
    /// Whether a later handler has called `read` and received nothing yet.
    private var isReadPending = false
    /// Whether no bytes were received yet: only a server's first bytes can be plain HTTP.
    private var expectsHello: Bool
    /// A server's texts for the response to plain HTTP; nil for a client.
    private let plainHTTP: (detail: String, correlationID: () -> String)?

    struct DeferredClose {
        var promise: EventLoopPromise<Void>?
    }

    /// Creates a server-side handler.
    ///
    /// - Parameters:
    ///   - buffers: the buffers of the channel's event loop.
    ///   - plainHTTPDetail: the `detail` of the response to plain HTTP; a constant without characters that JSON escapes.
    ///   - correlationID: returns the id for that response; called at most once.
    package init(
        server context: TLSContext, buffers: TLSBuffers, plainHTTPDetail: String, correlationID: @escaping () -> String
    ) throws(TLSError) {
        guard let connection = context.makeConnection(buffers: buffers) else { throw .outOfMemory }
        self.connection = connection
        self.buffers = buffers
        self.expectsHello = true
        self.plainHTTP = (plainHTTPDetail, correlationID)
    }

    /// Creates a client-side handler.
    ///
    /// - Parameter buffers: the buffers of the channel's event loop
    package init(client context: TLSClientContext, buffers: TLSBuffers) throws(TLSError) {
        guard let connection = context.makeConnection(buffers: buffers) else { throw .outOfMemory }
        self.connection = connection
        self.buffers = buffers
        self.expectsHello = false
        self.plainHTTP = nil
    }

    // MARK: Handshake

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
        // The handshake must proceed although no later handler has called `read` yet.
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
        isReadPending = true
        context.read()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        defer { buffers.recycle(buffer) }
        guard phase == .handshaking || phase == .established, !isInputClosed else { return }
        if connection.incoming.readableBytes == 0 {
            connection.incoming = buffer
        } else {
            connection.incoming.writeBuffer(&buffer)
        }
        // Called from within `fireChannelRead`: the outer call handles these bytes, too.
        guard !isReading else { return }
        isReading = true
        defer { isReading = false }
        if expectsHello, rejectsPlainHTTP(context) { return }
        if phase == .handshaking { continueHandshake(context) }
        if phase == .established { decrypt(context) }
        connection.incoming = ByteBuffer()
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        // A receiver already has its bytes, and no later handler waits for any.
        if receiver == nil { context.fireChannelReadComplete() }
        // The bytes may have been part of a record; then the handler that called `read` still waits. For a receiver the next read is
        // requested here, because the channel would request it through the whole pipeline.
        if phase == .handshaking || isReadPending || receiver != nil { context.read() }
    }

    private func decrypt(_ context: ChannelHandlerContext) {
        while phase == .established, !isInputClosed {
            buffers.plaintext.clear(minimumCapacity: min(max(connection.incoming.readableBytes, 1024), TLSBuffers.capacity))
            let progress = connection.read(into: &buffers.plaintext)
            sendCiphertext(context)
            if buffers.plaintext.readableBytes > 0 {
                isReadPending = false
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

    /// Passes the decrypted bytes to the receiver, if any, and otherwise up the pipeline.
    private func deliver(_ context: ChannelHandlerContext) {
        guard let receiver else { return context.fireChannelRead(wrapInboundOut(buffers.plaintext)) }
        // Moved out and back, so that the receiver has the only reference and can unmask in place.
        var plaintext = ByteBuffer()
        swap(&plaintext, &buffers.plaintext)
        receiver.receive(&plaintext)
        swap(&plaintext, &buffers.plaintext)
    }

    /// Rejects plain HTTP.
    ///
    /// - Returns: whether the bytes aren't to be handled as TLS, because they are plain HTTP or too few to decide.
    private func rejectsPlainHTTP(_ context: ChannelHandlerContext) -> Bool {
        switch PlainHTTP.verdict(of: connection.incoming) {
        case .undecided:
            return true
        case .other:
            expectsHello = false
            return false
        case .request(let hasBody):
            expectsHello = false
            phase = .rejected
            connection.incoming = ByteBuffer()
            failWrites(TLSError.plainHTTP)
            let response = PlainHTTP.rejection(
                detail: plainHTTP?.detail ?? "", correlationID: plainHTTP?.correlationID() ?? "", hasBody: hasBody,
                allocator: context.channel.allocator)
            transmit(response, context: context, promise: nil)
            context.close(mode: .output, promise: nil)
            context.fireErrorCaught(TLSError.plainHTTP)
            return true
        }
    }

    // MARK: Closing

    /// Handles the peer's close_notify.
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
        // The end of TCP's input. Later handlers receive the end once, preceded by an error if close_notify is missing.
        switch phase {
        case .waiting, .handshaking: fail(context, .closedDuringHandshake)
        case .rejected: context.close(promise: nil)
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
            case .waiting, .established, .rejected, .closed: nil
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

    /// Sends OpenSSL's alert to the peer, fires the error to later handlers, and closes the channel.
    func fail(_ context: ChannelHandlerContext, _ error: TLSError) {
        guard phase != .closed else { return }
        phase = .closed
        sendCiphertext(context)
        failWrites(error)
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    /// Sends ciphertext that OpenSSL wrote on its own. The event loop's buffer must be empty before other code runs.
    func sendCiphertext(_ context: ChannelHandlerContext) {
        guard let ciphertext = buffers.takeCiphertext() else { return }
        transmit(ciphertext, context: context, promise: nil)
    }
}

@available(*, unavailable)
extension TLSHandler: Sendable {}
