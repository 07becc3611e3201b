// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import NIOCore
import NIOPosix
import ParleyClient

/// Opens TCP or TLS connections to the endpoints of one upstream, on one event loop.
struct UpstreamConnector {
    let urls: [UpstreamURL]
    let contexts: [TLSClientContext?]
    /// Twice `connect_timeout`, so that the call's own deadline fires first and reports the phase.
    let timeout: TimeAmount
    /// Maximum size of one read, in bytes.
    let readBytes: Int
    let eventLoop: any EventLoop
    private let buffers = TLSBuffers()

    /// The socket's receive buffer, in bytes. An upstream can still send this much after reading is paused.
    private static let receiveBufferBytes = 262_144

    init(
        _ configuration: GatewayConfiguration.Upstream, contexts: [TLSClientContext?], readBytes: Int = UpstreamReadSize.single,
        eventLoop: any EventLoop
    ) {
        urls = configuration.urls
        self.contexts = contexts
        timeout = TimeAmount(configuration.connectTimeout * 2)
        self.readBytes = readBytes
        self.eventLoop = eventLoop
    }

    /// Makes the TLS context of each endpoint; nil for plaintext. Reads the certificate files, so that startup reports a missing one.
    static func contexts(_ configuration: GatewayConfiguration.Upstream) throws -> [TLSClientContext?] {
        try configuration.urls.map { url in
            guard url.isSecure else { return nil }
            return try TLSClientContext(
                verify: configuration.authority.map { .authority(path: $0) } ?? .system, serverName: url.location.host,
                applicationProtocols: ["http/1.1"],
                certificate: configuration.clientCertificate.map { .init(certificate: $0.certificate, key: $0.key) })
        }
    }

    /// Opens a connection to an endpoint.
    ///
    /// - Parameters:
    ///   - handlers: makes the handlers that follow the TLS handler, which fires ``TLSHandshakeCompleted`` after its handshake
    ///   - failed: called when the connection can't be established; not called for later failures
    func connect(
        endpoint: Int, handlers: @escaping () -> [any ChannelHandler], failed: @escaping (CallFailure) -> Void
    ) -> ConnectAttempt {
        let url = urls[endpoint].location
        let attempt = ConnectAttempt()
        let bootstrap = ClientBootstrap(group: eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.writeBufferWaterMark, value: .init(low: 65_536, high: 262_144))
            // One read per pass: an upstream that sends without pause must not starve the other connections.
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: readBytes))
            .channelOption(.socketOption(.so_rcvbuf), value: .init(Self.receiveBufferBytes))
            .connectTimeout(timeout)
        // An IP address needs no resolver, whose thread may have to wait for a CPU.
        let connecting =
            if let address = try? SocketAddress(ipAddress: url.host, port: url.port) {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: url.host, port: url.port)
            }
        connecting.assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let error): if !attempt.isCancelled { failed(.unreachable(ConnectionErrorText.text(error))) }
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

/// A cancellable attempt to open a connection.
final class ConnectAttempt {
    fileprivate(set) var isCancelled = false
    fileprivate var channel: (any Channel)?

    func cancel() {
        isCancelled = true
        channel?.close(promise: nil)
    }
}
