import GatewayCore
import NIOCore
import NIOHTTP1

/// Upstreams on WebSockets: `websocket`, whose connections many sessions share, and `vosk`, with one for each stream.
final class SocketService: UpstreamService {
    private let configuration: GatewayConfiguration.Upstream
    private let pool: UpstreamPool
    private let contexts: [TLSClientContext?]

    /// The subprotocol of `websocket`.
    static let subprotocol = "parley.upstream.v1"

    init(_ configuration: GatewayConfiguration.Upstream, pool: UpstreamPool) throws {
        self.configuration = configuration
        self.pool = pool
        contexts = try configuration.urls.map { url in
            guard url.isSecure else { return nil }
            return try TLSClientContext(
                verify: configuration.authority.map { .authority(path: $0) } ?? .system, serverName: url.location.host,
                applicationProtocols: ["http/1.1"],
                certificate: configuration.clientCertificate.map { .init(certificate: $0.certificate, key: $0.key) })
        }
    }

    func makeMaker(on loop: CallLoop) -> any ServiceLoop {
        var options = GatewayClientOptions()
        options.subprotocols = configuration.kind == .websocket ? [Self.subprotocol] : []
        // Over a local network it costs more than it saves.
        options.compressionOffer = nil
        // The call's own deadline comes first, and says what it was.
        options.timeout = configuration.connectTimeout * 2
        configuration.addFields(to: &options.headers)
        let connector = SocketConnector(
            urls: configuration.urls, contexts: contexts, options: options, maxMessageBytes: configuration.maxMessageBytes,
            eventLoop: loop.eventLoop)
        guard configuration.kind == .websocket else { return VoskMaker(connector: connector, pool: pool) }
        return MultiplexMaker(configuration, connector: connector, pool: pool, loop: loop)
    }

    func run() async {}
    func retire() async {}
}
