import GatewayCore
package import GatewayTLS
import GatewayWebSocket
import NIOCore
import NIOHTTP1
import NIOPosix

/// A WebSocket client for the gateway: what `parley talk` and the end-to-end tests speak through.
///
/// Events wait in a bounded inbox and are taken with ``next(within:)``; nobody taking them is back-pressure down to the gateway.
/// Sending waits until the socket has taken the bytes. All methods may be called from any task.
package final class ClientWebSocket: Sendable {
    /// Subprotocol, compression, and the fields of the answer.
    package let agreement: ClientHandshake.Agreement
    /// Version, cipher and the like; nil for `ws:`.
    package let tls: TLSHandshakeCompleted?
    private let channel: any Channel
    private let inbox: ClientInbox
    private let arrivals: ArrivalClock
    private let socket: NIOLoopBound<ClientSocketHandler>

    private init(
        channel: any Channel, inbox: ClientInbox, arrivals: ArrivalClock, agreement: ClientHandshake.Agreement,
        tls: TLSHandshakeCompleted?, socket: NIOLoopBound<ClientSocketHandler>
    ) {
        self.agreement = agreement
        self.tls = tls
        self.channel = channel
        self.inbox = inbox
        self.arrivals = arrivals
        self.socket = socket
    }

    deinit {
        channel.close(promise: nil)
    }

    // MARK: Opening

    /// Connects, with TLS for `wss:`, and upgrades, all within ``ClientWebSocketOptions/timeout``.
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
        let arrivals = ArrivalClock()
        let eventLoop = group.next()
        let channel = try await openChannel(to: url, options: options, on: eventLoop, before: deadline)
        // Nothing is lost in between: a gateway says nothing before it is asked.
        let opening = eventLoop.flatSubmit {
            let opened = eventLoop.makePromise(of: NIOLoopBound<ClientUpgradeHandler<ClientSocketHandler>.Opened>.self)
            do {
                try assemble(
                    channel, inbox: inbox, arrivals: arrivals, handshake: ClientHandshake(url, options: options), options: options,
                    tls: tls, loop: group.loop(eventLoop), deadline: deadline, opened: opened)
            } catch {
                opened.fail(error)
                channel.close(promise: nil)
            }
            return opened.futureResult.map { bound in
                ClientWebSocket(
                    channel: channel, inbox: inbox, arrivals: arrivals, agreement: bound.value.agreement, tls: bound.value.tls,
                    socket: NIOLoopBound(bound.value.handler, eventLoop: eventLoop))
            }
        }
        do {
            return try await opening.get()
        } catch let error as ClientWebSocketError {
            throw error
        } catch {
            throw .lost(ClientFailure.text(error))
        }
    }

    /// TCP to the URL's host, or to the first address of ``ClientWebSocketOptions/resolutions`` that answers.
    private static func openChannel(
        to url: WebSocketURL, options: ClientWebSocketOptions, on eventLoop: any EventLoop, before deadline: NIODeadline
    ) async throws(ClientWebSocketError) -> any Channel {
        let addresses = options.resolutions.last { $0.covers(url) }?.addresses ?? [url.host]
        var failures: [String] = []
        for host in addresses {
            let left = max(deadline - .now(), .nanoseconds(1))
            do {
                return try await ClientBootstrap(group: eventLoop)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .connectTimeout(left)
                    .connect(host: host, port: url.port).get()
            } catch {
                failures.append(ClientFailure.text(error))
            }
        }
        throw .cannotConnect(failures.joined(separator: "; "))
    }

    /// The pipeline until the upgrade, from the socket upwards.
    private static func assemble(
        _ channel: any Channel, inbox: ClientInbox, arrivals: ArrivalClock, handshake: ClientHandshake, options: ClientWebSocketOptions,
        tls: TLSClientContext?, loop: ClientGroup.Loop, deadline: NIODeadline,
        opened: EventLoopPromise<NIOLoopBound<ClientUpgradeHandler<ClientSocketHandler>.Opened>>
    ) throws {
        let encoder: any ChannelOutboundHandler & RemovableChannelHandler =
            if let raw = options.rawRequest { RawRequestEncoder(raw) } else { HTTPRequestEncoder() }
        let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
        let upgrade = ClientUpgradeHandler(
            handshake, isSecure: tls != nil, http: [encoder, decoder], deadline: deadline, opened: opened,
            makeSocket: { ClientSocketHandler(inbox: inbox, options: options, compression: $0, deflate: loop.deflate) })
        let pipeline = channel.pipeline.syncOperations
        let first = ArrivalHandler(arrivals)
        try pipeline.addHandler(first)
        let last: [any ChannelHandler] = [encoder, decoder, upgrade]
        // The handshake begins when its handler is added, and must find the others behind it.
        try pipeline.addHandlers(last)
        if let tls { try pipeline.addHandler(TLSHandler(client: tls, buffers: loop.tls), position: .after(first)) }
    }

    // MARK: Receiving

    /// The next event, in order. After the end, the end again.
    ///
    /// - Parameter limit: how long to wait for it; nil: for ever; zero or less: only what is there.
    /// - Returns: nil when nothing came in time, or when the task is cancelled.
    package func next(within limit: Duration? = nil) async -> ClientEvent? {
        if let event = take() { return event }
        if let limit, limit <= .zero { return nil }
        let inbox = inbox
        let ticket = inbox.ticket()
        let timer = limit.map { limit in channel.eventLoop.scheduleTask(in: TimeAmount(limit)) { inbox.giveUp(ticket) } }
        let event = await withTaskCancellationHandler {
            await withCheckedContinuation { inbox.wait(ticket, $0) }
        } onCancel: {
            inbox.giveUp(ticket)
        }
        timer?.cancel()
        return event ?? take()
    }

    /// Whether ``next(within:)`` would return at once.
    package var hasEvents: Bool { inbox.hasEvents }

    /// Everything until the end, the end included. Taken from the same inbox as ``next(within:)``.
    package var events: ClientEvents { ClientEvents(client: self) }

    /// Puts an event of the program's own among those of the gateway, so that one loop can wait for both.
    package func insert(_ event: ClientEvent.Inserted) {
        inbox.put(.inserted(event))
    }

    /// Has ``next(within:)`` and ``insert(_:)`` work as before the end, which was taken: for a program that connects again.
    package func reopenInbox() { inbox.reopen() }

    /// Takes out all events of the program's own, which go on to another connection.
    package func takeInserted() -> [ClientEvent.Inserted] { inbox.takeInserted() }

    /// Time since the last byte from the gateway, be it of a message, a part of one or a ping.
    package var idle: Duration { arrivals.idle }

    private func take() -> ClientEvent? {
        let (event, hasRoom) = inbox.take()
        if hasRoom { channel.eventLoop.execute { [socket] in socket.value.setAutoRead(true) } }
        return event
    }

    // MARK: Sending

    /// - Parameter compresses: whether it may be sent compressed, where that was agreed on and pays.
    package func send(text: String, compresses: Bool = true) async throws(ClientWebSocketError) {
        let bytes = Array(text.utf8)
        try await perform { $0.send(.text, bytes, compresses: compresses, promise: $1) }
    }

    package func send(binary: [UInt8]) async throws(ClientWebSocketError) {
        try await perform { $0.send(.binary, binary, compresses: false, promise: $1) }
    }

    /// - Parameter payload: at most 125 bytes; the rest would be cut off.
    package func ping(_ payload: [UInt8] = []) async throws(ClientWebSocketError) {
        try await perform { $0.ping(payload, promise: $1) }
    }

    /// Sends bytes as they are: frames of a test's own making, or none at all. ``FrameSerializer`` helps.
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
            throw .closed(inbox.closing ?? .lost(ClientFailure.text(error)))
        }
    }

    // MARK: Closing

    /// Sends a close frame. The end comes as an event when the gateway answers, or after ``ClientWebSocketOptions/closeTimeout``.
    ///
    /// - Parameters:
    ///   - code: nil for a close frame without one.
    ///   - reason: cut to 123 bytes.
    package func close(code: UInt16? = 1000, reason: String = "") {
        channel.eventLoop.execute { [socket] in socket.value.close(code, reason: reason) }
    }

    /// Ends TCP at once, without a close frame and without TLS's close_notify.
    package func abort() {
        channel.eventLoop.execute { [socket] in socket.value.abort() }
    }

    /// Returns when TCP has ended.
    package func waitForEnd() async {
        // A channel's closing never fails.
        try? await channel.closeFuture.get()
    }
}
