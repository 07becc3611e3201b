// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import NIOCore
import NIOHTTP1
import ParleyClient

/// An upstream of kind `websocket`, whose connections are shared by many sessions, or `vosk`, with one connection per stream.
final class SocketService: UpstreamService {
    private let configuration: GatewayConfiguration.Upstream
    private let pool: UpstreamPool
    private let contexts: [TLSClientContext?]

    /// The WebSocket subprotocol of `websocket` upstreams.
    static let subprotocol = "parley.upstream.v1"

    init(_ configuration: GatewayConfiguration.Upstream, pool: UpstreamPool) throws {
        self.configuration = configuration
        self.pool = pool
        contexts = try UpstreamConnector.contexts(configuration)
    }

    func makeTransport(on loop: CallContext) -> any UpstreamTransport {
        var options = ClientWebSocketOptions()
        options.subprotocols = configuration.kind == .websocket ? [Self.subprotocol] : []
        // Compression costs more than it saves on a local network.
        options.compressionOffer = nil
        configuration.addFields(to: &options.headers)
        let connector = SocketConnector(
            connector: UpstreamConnector(
                configuration, contexts: contexts,
                readBytes: configuration.kind == .websocket ? UpstreamReadSize.shared : UpstreamReadSize.single, eventLoop: loop.eventLoop),
            options: options, maxMessageBytes: configuration.maxMessageBytes)
        guard configuration.kind == .websocket else { return VoskTransport(connector: connector, pool: pool) }
        return MultiplexTransport(configuration, connector: connector, pool: pool, loop: loop)
    }

    func run() async {}
    func retire() async {}
}
