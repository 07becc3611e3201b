// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import GatewayTLS
import GatewayWebSocket
import NIOCore
import NIOHTTP1
import NIOPosix

/// A WebSocket client for the gateway, used by `parley talk` and the end-to-end tests.
///
/// Events wait in a bounded inbox until ``next(within:)`` returns them; a full inbox stops reading, so that backpressure reaches the gateway.
/// Sending waits until the bytes are written to the socket. All methods may be called from any task.
package final class ClientWebSocket: Sendable {
    /// The negotiated subprotocol and compression, and the header fields of the response.
    package let agreement: ClientHandshake.Agreement
    /// Version and cipher of the TLS connection; nil for `ws:`.
    package let tls: TLSHandshakeCompleted?
    private let channel: any Channel
    private let inbox: ClientInbox
    private let receiveClock: ReceiveClock
    private let socket: NIOLoopBound<ClientSocketHandler>

    private init(
        channel: any Channel, inbox: ClientInbox, receiveClock: ReceiveClock, agreement: ClientHandshake.Agreement,
        tls: TLSHandshakeCompleted?, socket: NIOLoopBound<ClientSocketHandler>
    ) {
        self.agreement = agreement
        self.tls = tls
        self.channel = channel
        self.inbox = inbox
        self.receiveClock = receiveClock
        self.socket = socket
    }

    deinit {
        channel.close(promise: nil)
    }

    // MARK: Connecting

    /// Connects, with TLS for `wss:`, and performs the upgrade within ``ClientWebSocketOptions/timeout``.
    package static func connect(
        to url: WebSocketURL, options: ClientWebSocketOptions = ClientWebSocketOptions(), on group: ClientGroup = .shared
    ) async throws(ClientWebSocketError) -> ClientWebSocket {
        let deadline = NIODeadline.now() + TimeAmount(options.timeout)
        let tls: TLSClientContext?
        do throws(TLSConfigurationError) {
            tls =
                url.isSecure
                ? try TLSClientContext(
                    verify: options.verification, serverName: options.serverName ?? url.host, applicationProtocols: ["http/1.1"]) : nil
        } catch {
            throw .tls("\(error)")
        }
        let inbox = ClientInbox(maximumEvents: options.inboxEvents, maximumBytes: options.inboxBytes)
        let receiveClock = ReceiveClock()
        let eventLoop = group.next()
        let channel = try await openChannel(to: url, options: options, on: eventLoop, before: deadline)
        // Adding the handlers after connecting loses no bytes, because the gateway sends none before the request.
        let opening = eventLoop.flatSubmit {
            let opened = eventLoop.makePromise(of: NIOLoopBound<ClientUpgradeHandler<ClientSocketHandler>.Opened>.self)
            do {
                try assemble(
                    channel, inbox: inbox, receiveClock: receiveClock, handshake: ClientHandshake(url, options: options),
                    options: options, tls: tls, loopState: group.state(of: eventLoop), deadline: deadline, opened: opened)
            } catch {
                opened.fail(error)
                channel.close(promise: nil)
            }
            return opened.futureResult.map { bound in
                ClientWebSocket(
                    channel: channel, inbox: inbox, receiveClock: receiveClock, agreement: bound.value.agreement,
                    tls: bound.value.tls, socket: NIOLoopBound(bound.value.handler, eventLoop: eventLoop))
            }
        }
        do {
            return try await opening.get()
        } catch let error as ClientWebSocketError {
            throw error
        } catch {
            throw .lost(ConnectionErrorText.text(error))
        }
    }

    /// Opens a TCP connection to the URL's host. If an entry of ``ClientWebSocketOptions/resolutions`` matches, its addresses are tried instead.
    private static func openChannel(
        to url: WebSocketURL, options: ClientWebSocketOptions, on eventLoop: any EventLoop, before deadline: NIODeadline
    ) async throws(ClientWebSocketError) -> any Channel {
        let addresses = options.resolutions.last { $0.matches(url) }?.addresses ?? [url.host]
        var failures: [String] = []
        for host in addresses {
            let remaining = max(deadline - .now(), .nanoseconds(1))
            do {
                return try await ClientBootstrap(group: eventLoop)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .connectTimeout(remaining)
                    .connect(host: host, port: url.port).get()
            } catch {
                failures.append(ConnectionErrorText.text(error))
            }
        }
        throw .cannotConnect(failures.joined(separator: "; "))
    }

    /// Adds the handlers that are needed until the upgrade, starting at the socket.
    private static func assemble(
        _ channel: any Channel, inbox: ClientInbox, receiveClock: ReceiveClock, handshake: ClientHandshake,
        options: ClientWebSocketOptions, tls: TLSClientContext?, loopState: ClientGroup.LoopState, deadline: NIODeadline,
        opened: EventLoopPromise<NIOLoopBound<ClientUpgradeHandler<ClientSocketHandler>.Opened>>
    ) throws {
        let encoder: any ChannelOutboundHandler & RemovableChannelHandler =
            if let raw = options.rawRequest { RawRequestEncoder(raw) } else { HTTPRequestEncoder() }
        let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
        let upgrade = ClientUpgradeHandler(
            handshake, isSecure: tls != nil, http: [encoder, decoder], deadline: deadline, opened: opened,
            makeSocket: { ClientSocketHandler(inbox: inbox, options: options, compression: $0, deflate: loopState.deflate) })
        let pipeline = channel.pipeline.syncOperations
        let first = ReceiveClockHandler(receiveClock)
        try pipeline.addHandler(first)
        let last: [any ChannelHandler] = [encoder, decoder, upgrade]
        // Adding the upgrade handler starts the handshake, so it is added last, after the encoder and decoder.
        try pipeline.addHandlers(last)
        if let tls { try pipeline.addHandler(TLSHandler(client: tls, buffers: loopState.tls), position: .after(first)) }
    }

    // MARK: Receiving

    /// Returns the next event, in order. After ``ClientEvent/closed(_:)`` it returns that event again.
    ///
    /// - Parameter limit: maximum wait; nil: unlimited; zero or less: no wait
    /// - Returns: nil if there was no event in time, or if the task was cancelled
    package func next(within limit: Duration? = nil) async -> ClientEvent? {
        if let event = take() { return event }
        if let limit, limit <= .zero { return nil }
        let inbox = inbox
        let ticket = inbox.ticket()
        let timer = limit.map { limit in channel.eventLoop.scheduleTask(in: TimeAmount(limit)) { inbox.cancelWait(ticket) } }
        let event = await withTaskCancellationHandler {
            await withCheckedContinuation { inbox.wait(ticket, $0) }
        } onCancel: {
            inbox.cancelWait(ticket)
        }
        timer?.cancel()
        return event ?? take()
    }

    /// Whether ``next(within:)`` would return an event at once.
    package var hasEvents: Bool { inbox.hasEvents }

    /// All events including ``ClientEvent/closed(_:)``, from the same inbox as ``next(within:)``.
    package var events: ClientEvents { ClientEvents(client: self) }

    /// Inserts an event of the program among those of the gateway, so that one loop can wait for both.
    package func insert(_ event: ClientEvent.Inserted) {
        inbox.enqueue(.inserted(event))
    }

    /// Reopens the inbox after ``ClientEvent/closed(_:)``, so that a program that reconnects can wait for inserted events.
    package func reopenInbox() { inbox.reopen() }

    /// Removes and returns all inserted events, to move them to another connection.
    package func removeInserted() -> [ClientEvent.Inserted] { inbox.removeInserted() }

    /// Time since the last byte from the gateway, whether of a message, a partial message or a ping.
    package var idle: Duration { receiveClock.idle }

    private func take() -> ClientEvent? {
        let (event, hasRoom) = inbox.dequeue()
        if hasRoom { channel.eventLoop.execute { [socket] in socket.value.setAutoRead(true) } }
        return event
    }

    // MARK: Sending

    /// Sends a text message.
    ///
    /// - Parameter compresses: whether the message may be compressed, if compression was negotiated and makes it smaller
    package func send(text: String, compresses: Bool = true) async throws(ClientWebSocketError) {
        let bytes = Array(text.utf8)
        try await perform { $0.send(.text, bytes, compresses: compresses, promise: $1) }
    }

    package func send(binary: [UInt8]) async throws(ClientWebSocketError) {
        try await perform { $0.send(.binary, binary, compresses: false, promise: $1) }
    }

    /// Sends a text message without waiting for the write. Messages keep their order. The caller bounds what may be waiting.
    package func post(text: String) {
        let bytes = Array(text.utf8)
        post { $0.send(.text, bytes, compresses: true, promise: $1) }
    }

    /// Sends a binary message without waiting for the write.
    package func post(binary: [UInt8]) {
        post { $0.send(.binary, binary, compresses: false, promise: $1) }
    }

    private func post(_ body: @escaping @Sendable (ClientSocketHandler, EventLoopPromise<Void>) -> Void) {
        let eventLoop = channel.eventLoop
        // If the write fails, the next event is the end of the connection.
        eventLoop.execute { [socket] in body(socket.value, eventLoop.makePromise()) }
    }

    /// Sends a ping.
    ///
    /// - Parameter payload: truncated to 125 bytes
    package func ping(_ payload: [UInt8] = []) async throws(ClientWebSocketError) {
        try await perform { $0.ping(payload, promise: $1) }
    }

    /// Sends raw bytes, for tests: hand-made frames (see ``FrameSerializer``), or bytes that aren't a frame.
    package func sendRaw(_ bytes: [UInt8]) async throws(ClientWebSocketError) {
        try await perform { $0.sendRaw(bytes, promise: $1) }
    }

    private func perform(
        _ body: @escaping @Sendable (ClientSocketHandler, EventLoopPromise<Void>) -> Void
    ) async throws(ClientWebSocketError) {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        channel.eventLoop.execute { [socket] in body(socket.value, promise) }
        do {
            try await promise.futureResult.get()
        } catch {
            throw .closed(inbox.closing ?? .lost(ConnectionErrorText.text(error)))
        }
    }

    // MARK: Closing

    /// Sends a close frame. ``ClientEvent/closed(_:)`` follows once the gateway's close frame is received, or after
    /// ``ClientWebSocketOptions/closeTimeout``.
    ///
    /// - Parameters:
    ///   - code: nil for a close frame without a code
    ///   - reason: truncated to 123 bytes
    package func close(code: UInt16? = 1000, reason: String = "") {
        channel.eventLoop.execute { [socket] in socket.value.close(code, reason: reason) }
    }

    /// Closes the TCP connection at once, without a close frame and without a TLS close_notify.
    package func abort() {
        channel.eventLoop.execute { [socket] in socket.value.abort() }
    }

    /// Returns when the TCP connection is closed.
    package func waitForEnd() async {
        // The close future of a channel never fails.
        try? await channel.closeFuture.get()
    }
}
