// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import ParleyClient

/// One side of the link between two nodes: the handshake, requests and streams, on the event loop of the connection.
final class NodeLinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        case hello
        /// The peer's greeting was received.
        case proof
        case established
        case closed
    }

    struct PendingRequest {
        let promise: EventLoopPromise<[UInt8]>
        let timeout: Scheduled<Void>
        let bytes: Int
    }

    let settings: NodeLinkSettings
    let isDialer: Bool
    /// The node that the dialer expects; nil for the listener.
    let expected: ULID?
    /// Completed once with the link, or with the reason why there is none; nil for the listener.
    let established: EventLoopPromise<NodeLink>?
    let owner: any NodeLinkOwner

    var context: ChannelHandlerContext?
    var phase = Phase.hello
    var parser = NodeFrameParser(maximumLength: NodeFrame.maximumLengthBeforeProof)
    let hello: NodeHello
    var peerHello: NodeHello?
    var link: NodeLink?
    private var handshakeTimeout: Scheduled<Void>?
    /// The reason for the close, if this side has closed the link.
    private(set) var closeReason: String?

    var hasReceived = false
    private var missedPings = 0
    private var nextPing: Scheduled<Void>?

    var streams: [UInt64: NodeStream] = [:]
    /// Streams with messages that wait until the socket accepts more.
    var blocked: [UInt64: NodeStream] = [:]
    var nextStream: UInt64
    var lastPeerStream: UInt64 = 0
    var requests: [UInt64: PendingRequest] = [:]
    var requestBytes = 0
    var nextRequest: UInt64 = 0
    var handledRequests = 0
    /// Whether this side has sent `goAway`.
    var isRetiring = false
    var isPeerRetiring = false
    private var needsFlush = false
    private var isReading = false
    /// Whether the link closes after its last write.
    var isClosing = false

    init(settings: NodeLinkSettings, expected: ULID?, owner: any NodeLinkOwner, established: EventLoopPromise<NodeLink>?) {
        self.settings = settings
        self.expected = expected
        self.owner = owner
        self.established = established
        isDialer = expected != nil
        nextStream = expected != nil ? 1 : 2
        var generator = SystemRandomNumberGenerator()
        var nonce: [UInt8] = []
        for _ in 0..<NodeHello.nonceSize { nonce.append(.random(in: 0...255, using: &generator)) }
        hello = NodeHello(node: settings.node, nonce: nonce)
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // The error of a connection that was never open is reported by the bootstrap.
        if isDialer, handshakeTimeout == nil { phase = .closed }
        close(because: "connection closed", error: .unreachable("connection closed"))
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        begin()
        context.fireChannelActive()
    }

    private func begin() {
        guard phase == .hello, handshakeTimeout == nil, let context else { return }
        handshakeTimeout = context.eventLoop.assumeIsolated().scheduleTask(in: settings.handshakeTimeout) { [weak self] in
            self?.fail(.handshakeTimeout)
        }
        // The listener greets only a node.
        if isDialer { write(.hello, payload: hello.payload) }
        flushIfNeeded()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard phase != .closed, let bytes = buffer.readBytes(length: buffer.readableBytes) else { return }
        hasReceived = true
        isReading = true
        defer { isReading = false }
        var offset = 0
        do throws(NodeFrameFault) {
            while phase != .closed, let frame = try parser.next(bytes, from: &offset) {
                if phase == .established { receive(frame) } else { receiveHandshake(frame) }
            }
        } catch {
            fail(.invalidFrame)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        flushIfNeeded()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            let all = blocked
            blocked = [:]
            for stream in all.values { flush(stream) }
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(because: ConnectionErrorText.text(error), error: .unreachable(ConnectionErrorText.text(error)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        close(because: "connection closed by the peer", error: .unreachable("connection closed by the peer"))
        context.fireChannelInactive()
    }

    // MARK: Establishing and closing

    func establish() {
        guard let context, let peer = peerHello?.node else { return }
        phase = .established
        parser.maximumLength = NodeFrame.maximumLength
        handshakeTimeout?.cancel()
        schedulePing()
        let link = NodeLink(
            peer: peer, isDialer: isDialer, handler: NIOLoopBound(self, eventLoop: context.eventLoop))
        self.link = link
        owner.linkEstablished(link, from: context.channel.remoteAddress)
        established?.succeed(link)
    }

    private func ping() {
        missedPings = hasReceived ? 0 : missedPings + 1
        hasReceived = false
        guard missedPings < settings.missedPings else { return fail(.silent) }
        write(.ping)
        flushIfNeeded()
        schedulePing()
    }

    private func schedulePing() {
        nextPing = context?.eventLoop.assumeIsolated().scheduleTask(in: settings.pingInterval) { [weak self] in self?.ping() }
    }

    func fail(_ fault: NodeLinkFault) { close(because: fault.rawValue, error: .rejected(fault)) }

    /// Closes the link: its requests fail, its streams end.
    ///
    /// - Parameter error: the error of the dialer that waits for the link
    func close(because reason: String, error: NodeLinkError) {
        guard phase != .closed else { return }
        let wasEstablished = phase == .established
        phase = .closed
        closeReason = reason
        handshakeTimeout?.cancel()
        nextPing?.cancel()
        let (oldStreams, oldRequests) = (streams, requests)
        (streams, requests, blocked, requestBytes) = ([:], [:], [:], 0)
        for stream in oldStreams.values { stream.end(.linkLost) }
        for request in oldRequests.values {
            request.timeout.cancel()
            request.promise.fail(NodeLinkError.lost)
        }
        let address = context?.channel.remoteAddress
        if wasEstablished, let link {
            owner.linkClosed(link, because: reason)
        } else {
            owner.handshakeFailed(isDialer: isDialer, from: address, because: reason)
        }
        established?.fail(error)
        link = nil
        context?.close(promise: nil)
    }

    // MARK: Writing

    func write(_ kind: NodeFrame.Kind, stream: UInt64 = 0, payload: [UInt8] = []) {
        guard let context else { return }
        var head: [UInt8] = []
        head.reserveCapacity(13)
        NodeFrame.appendHead(kind, stream: stream, payloadSize: payload.count, to: &head)
        var buffer = context.channel.allocator.buffer(capacity: head.count + payload.count)
        buffer.writeBytes(head)
        buffer.writeBytes(payload)
        context.write(wrapOutboundOut(buffer), promise: nil)
        needsFlush = true
    }

    /// Flushes what was written, unless a read is being handled, whose end flushes.
    func flushIfNeeded() {
        guard needsFlush, !isReading, let context else { return }
        needsFlush = false
        context.flush()
    }
}

/// The owner of a node's links. Called on the event loop of the link.
protocol NodeLinkOwner: AnyObject, Sendable {
    func linkEstablished(_ link: NodeLink, from address: SocketAddress?)
    func linkClosed(_ link: NodeLink, because reason: String)
    /// The peer opens no more streams and sends no more requests on the link.
    func linkRetired(_ link: NodeLink)
    func handshakeFailed(isDialer: Bool, from address: SocketAddress?, because reason: String)
    func handle(_ kind: UInt8, _ message: [UInt8], from node: ULID) async -> [UInt8]
    func opened(_ stream: NodeStream, label: [UInt8])
}
