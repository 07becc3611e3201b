import AsyncHTTPClient
import GatewayCore
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// HTTP upstreams: `http` and `openai`. The client library keeps the connections; this gives it new clients as they grow old, and asks for health.
final class HTTPService: UpstreamService {
    private let configuration: GatewayConfiguration.Upstream
    private let pool: UpstreamPool
    private let settings: HTTPClient.Configuration
    private let state = Mutex(State())
    private let group: any EventLoopGroup
    private let logger: Logger
    private let ended: AsyncStream<Void>
    private let ending: AsyncStream<Void>.Continuation

    private struct State {
        /// Made when it is first needed.
        var client: HTTPClient?
        var isRetired = false
    }

    init(_ configuration: GatewayConfiguration.Upstream, pool: UpstreamPool, group: any EventLoopGroup, logger: Logger) throws {
        self.configuration = configuration
        self.pool = pool
        self.logger = logger
        self.group = group
        settings = try Self.settings(configuration)
        (ended, ending) = AsyncStream.makeStream()
    }

    private static func settings(_ configuration: GatewayConfiguration.Upstream) throws -> HTTPClient.Configuration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if let authority = configuration.authority {
            // Read now, so that a file that isn't there is told at the start.
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority))
        }
        if let files = configuration.clientCertificate {
            tls.certificateChain = try NIOSSLCertificate.fromPEMFile(files.certificate).map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem))
        }
        var settings = HTTPClient.Configuration(tlsConfiguration: tls, redirectConfiguration: .disallow)
        // The call's own deadline comes first, and says what it was.
        settings.timeout.connect = .nanoseconds((configuration.connectTimeout * 2).clampedNanoseconds)
        // Who sends without end takes turns with the others.
        settings.http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
                try channel.syncOptions?.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: UpstreamReading.bytes))
            }
        }
        settings.connectionPool.idleTimeout = .nanoseconds(configuration.idleClose.clampedNanoseconds)
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = GatewaySizes.orOff(configuration.maxConnections)
        // Who tries again, when and where, is the call's to say.
        settings.connectionPool.retryConnectionEstablishment = false
        settings.httpVersion = .http1Only
        settings.decompression = .disabled
        return settings
    }

    func makeMaker(on loop: CallLoop) -> any ServiceLoop { HTTPMaker(service: self, loop: loop) }

    fileprivate func begin(_ order: CallOrder, endpoint: Int, receiver: any AttemptReceiver, on eventLoop: any EventLoop) -> HTTPAttempt {
        do throws(CallFailure) {
            let wanted = try HTTPOrder(order, configuration)
            let attempt = HTTPAttempt(receiver: receiver, answer: wanted.answer, eventLoop: eventLoop)
            guard let client = client(), let request = request(wanted, endpoint: endpoint) else {
                throw .unreachable("the upstream is no longer configured")
            }
            attempt.begin(request, client: client)
            return attempt
        } catch {
            receiver.failed(error)
            return HTTPAttempt(receiver: receiver, answer: MessageAnswer(limit: 0), eventLoop: eventLoop)
        }
    }

    private func request(_ order: HTTPOrder, endpoint: Int) -> HTTPClient.Request? {
        var headers: HTTPHeaders = ["Content-Type": order.contentType, "Accept": order.accept]
        configuration.addFields(to: &headers)
        return try? HTTPClient.Request(
            url: url(of: endpoint, path: order.path), method: .POST, headers: headers, body: .bytes(order.body))
    }

    private func url(of endpoint: Int, path: String) -> String {
        let url = configuration.urls[endpoint]
        var base = url.description
        if !path.isEmpty, base.hasSuffix("/") { base.removeLast() }
        return base + path
    }

    /// Nil once it has retired.
    private func client() -> HTTPClient? {
        state.withLock { state in
            guard !state.isRetired else { return nil }
            if let client = state.client { return client }
            let made = HTTPClient(eventLoopGroup: group, configuration: settings)
            state.client = made
            return made
        }
    }

    // MARK: Looking after

    func run() async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [self] in
                while (try? await Task.sleep(for: configuration.maxAge)) != nil { await renew() }
            }
            if !configuration.healthPath.isEmpty {
                for endpoint in configuration.urls.indices {
                    tasks.addTask { [self] in
                        repeat { await checkHealth(of: endpoint) } while (try? await Task.sleep(for: configuration.healthInterval)) != nil
                    }
                }
            }
            for await _ in ended {}
            tasks.cancelAll()
        }
        // Nothing is asked any more, or everything is to end.
        let last = state.withLock { state in
            state.isRetired = true
            return state.client.take()
        }
        await shutDown(last)
    }

    /// After so long, what is still under way is cut with its connection.
    private var longestRequest: Duration { configuration.totalTimeout == .zero ? .seconds(3600) : configuration.totalTimeout }

    /// New requests go to new connections; the old ones end with what is on them.
    private func renew() async {
        let old = state.withLock { $0.client.take() }
        try? await Task.sleep(for: longestRequest)
        await shutDown(old)
    }

    private func checkHealth(of endpoint: Int) async {
        guard let client = client() else { return }
        let origin = configuration.urls[endpoint]
        var request = HTTPClientRequest(url: "\(origin.scheme)://\(origin.location.authority)\(configuration.healthPath)")
        configuration.addFields(to: &request.headers)
        let response = try? await client.execute(
            request, timeout: .nanoseconds(configuration.connectTimeout.clampedNanoseconds &* 2))
        guard !Task.isCancelled else { return }
        pool.setHealth(of: endpoint, response.map { (200...299).contains($0.status.code) } ?? false)
    }

    func retire() async {
        try? await Task.sleep(for: longestRequest)
        ending.finish()
    }

    /// The client library ends what is at work when it shuts down.
    private func shutDown(_ client: HTTPClient?) async {
        do {
            try await client?.shutdown()
        } catch {
            logger.warning("connections could not be closed", metadata: ["upstream": "\(pool.name)", "error": "\(error)"])
        }
    }
}

/// Makes attempts on one event loop.
private final class HTTPMaker: ServiceLoop {
    private let service: HTTPService
    private let loop: CallLoop

    init(service: HTTPService, loop: CallLoop) {
        self.service = service
        self.loop = loop
    }

    func makeAttempt(_ order: CallOrder, endpoint: Int, receiver: any AttemptReceiver) -> any UpstreamAttempt {
        service.begin(order, endpoint: endpoint, receiver: receiver, on: loop.eventLoop)
    }
}
