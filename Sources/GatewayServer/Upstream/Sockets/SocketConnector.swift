import GatewayCore
import NIOCore
import NIOHTTP1
import NIOPosix

/// Opens WebSockets to the endpoints of one upstream, on one event loop.
struct SocketConnector {
    let urls: [UpstreamURL]
    let contexts: [TLSClientContext?]
    let options: GatewayClientOptions
    let maxMessageBytes: Int
    let eventLoop: any EventLoop
    let buffers = TLSBuffers()

    /// - Parameters:
    ///   - opened: called with the socket before its owner hears that it is open
    ///   - failed: called in place of that, with the reason
    func connect(
        endpoint: Int, owner: any SocketOwner, opened: @escaping (UpstreamSocketHandler) -> Void,
        failed: @escaping (CallFailure) -> Void
    ) -> ConnectAttempt {
        let url = urls[endpoint].location
        let attempt = ConnectAttempt()
        let connecting = ClientBootstrap(group: eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.writeBufferWaterMark, value: .init(low: 65_536, high: 262_144))
            // Who sends without end takes turns with the others.
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: UpstreamReading.bytes))
            .connectTimeout(TimeAmount(options.timeout))
            .connect(host: url.host, port: url.port)
        connecting.assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let error): if !attempt.isCancelled { failed(.unreachable(ClientFailure.text(error))) }
            case .success(let channel):
                attempt.channel = channel
                guard !attempt.isCancelled else { return channel.close(promise: nil) }
                upgrade(channel, endpoint: endpoint, attempt: attempt, owner: owner, opened: opened, failed: failed)
            }
        }
        return attempt
    }

    private func upgrade(
        _ channel: any Channel, endpoint: Int, attempt: ConnectAttempt, owner: any SocketOwner,
        opened: @escaping (UpstreamSocketHandler) -> Void, failed: @escaping (CallFailure) -> Void
    ) {
        typealias Upgrade = ClientUpgradeHandler<UpstreamSocketHandler>
        let promise = eventLoop.makePromise(of: NIOLoopBound<Upgrade.Opened>.self)
        let encoder = HTTPRequestEncoder()
        let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
        let upgrade = Upgrade(
            ClientHandshake(urls[endpoint].location, options: options), isSecure: contexts[endpoint] != nil, http: [encoder, decoder],
            deadline: .now() + TimeAmount(options.timeout), opened: promise,
            makeSocket: { _ in
                let socket = UpstreamSocketHandler(owner: owner, maxMessageBytes: maxMessageBytes)
                opened(socket)
                return socket
            })
        promise.futureResult.assumeIsolated().whenFailure { error in
            guard !attempt.isCancelled else { return }
            failed(Self.failure(error))
        }
        do {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandlers([encoder, decoder, upgrade])
            if let context = contexts[endpoint] { try pipeline.addHandler(TLSHandler(client: context, buffers: buffers), position: .first) }
        } catch {
            promise.fail(error)
            channel.close(promise: nil)
        }
    }

    private static func failure(_ error: any Error) -> CallFailure {
        guard let error = error as? GatewayClientError else { return .unreachable(ClientFailure.text(error)) }
        if case .refused(let refusal) = error {
            var failure = CallFailure.status(Int(refusal.status), retryAfter: nil)
            failure.hasReached = false
            // An upstream that doesn't take WebSockets is as good as none.
            failure.outcome = .failure
            return failure
        }
        return .unreachable("\(error)")
    }
}

/// A connection that is being made, to be given up.
final class ConnectAttempt {
    fileprivate(set) var isCancelled = false
    fileprivate var channel: (any Channel)?

    func cancel() {
        isCancelled = true
        channel?.close(promise: nil)
    }
}
