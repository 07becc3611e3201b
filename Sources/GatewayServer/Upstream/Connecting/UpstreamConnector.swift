import GatewayCore
import GatewayTLS
import NIOCore
import NIOPosix

/// Opens connections to the endpoints of one upstream, on one event loop: TCP, and TLS with whom the configuration trusts.
struct UpstreamConnector {
    let urls: [UpstreamURL]
    let contexts: [TLSClientContext?]
    /// A call's own deadline comes first, and says what it was.
    let timeout: TimeAmount
    /// At a time.
    let readBytes: Int
    let eventLoop: any EventLoop
    private let buffers = TLSBuffers()

    /// What the system may have received of a socket: it comes all the same when the upstream is to pause.
    private static let window = 262_144

    init(
        _ configuration: GatewayConfiguration.Upstream, contexts: [TLSClientContext?], readBytes: Int = UpstreamReading.single,
        eventLoop: any EventLoop
    ) {
        urls = configuration.urls
        self.contexts = contexts
        timeout = TimeAmount(configuration.connectTimeout * 2)
        self.readBytes = readBytes
        self.eventLoop = eventLoop
    }

    /// The certificates' files are read here, so that one that isn't there is told at the start.
    static func contexts(_ configuration: GatewayConfiguration.Upstream) throws -> [TLSClientContext?] {
        try configuration.urls.map { url in
            guard url.isSecure else { return nil }
            return try TLSClientContext(
                verify: configuration.authority.map { .authority(path: $0) } ?? .system, serverName: url.location.host,
                applicationProtocols: ["http/1.1"],
                certificate: configuration.clientCertificate.map { .init(certificate: $0.certificate, key: $0.key) })
        }
    }

    /// - Parameters:
    ///   - handlers: what stands behind TLS, which says ``TLSHandshakeCompleted`` when it is done
    ///   - failed: there is no connection; not called for what goes wrong later
    func connect(
        endpoint: Int, handlers: @escaping () -> [any ChannelHandler], failed: @escaping (CallFailure) -> Void
    ) -> ConnectAttempt {
        let url = urls[endpoint].location
        let attempt = ConnectAttempt()
        let bootstrap = ClientBootstrap(group: eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.writeBufferWaterMark, value: .init(low: 65_536, high: 262_144))
            // Who sends without end takes turns with the others.
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: readBytes))
            .channelOption(.socketOption(.so_rcvbuf), value: .init(Self.window))
            .connectTimeout(timeout)
        // A name is looked up on another thread, which may have to wait for a busy core; an address needn't be.
        let connecting =
            if let address = try? SocketAddress(ipAddress: url.host, port: url.port) {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: url.host, port: url.port)
            }
        connecting.assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let error): if !attempt.isCancelled { failed(.unreachable(ClientFailure.text(error))) }
            case .success(let channel):
                attempt.channel = channel
                guard !attempt.isCancelled else { return channel.close(promise: nil) }
                do {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandlers(handlers())
                    if let context = contexts[endpoint] {
                        try pipeline.addHandler(TLSHandler(client: context, buffers: buffers), position: .first)
                    }
                } catch {
                    failed(.unreachable("\(error)"))
                    channel.close(promise: nil)
                }
            }
        }
        return attempt
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
