// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import NIOCore
import NIOHTTP1

/// An upstream of kind `http` or `openai`.
final class HTTPService: UpstreamService {
    private let configuration: GatewayConfiguration.Upstream
    private let pool: UpstreamPool
    private let contexts: [TLSClientContext?]
    private let group: any EventLoopGroup
    /// Finishes when the upstream is retired.
    private let retirement: AsyncStream<Void>
    private let retirementContinuation: AsyncStream<Void>.Continuation

    init(_ configuration: GatewayConfiguration.Upstream, pool: UpstreamPool, group: any EventLoopGroup) throws {
        self.configuration = configuration
        self.pool = pool
        self.group = group
        contexts = try UpstreamConnector.contexts(configuration)
        (retirement, retirementContinuation) = AsyncStream.makeStream()
    }

    func makeTransport(on loop: CallContext) -> any UpstreamTransport {
        HTTPTransport(
            configuration, connector: UpstreamConnector(configuration, contexts: contexts, eventLoop: loop.eventLoop), pool: pool,
            loop: loop)
    }

    /// Runs health checks, if configured, until retired.
    func run() async {
        guard !configuration.healthPath.isEmpty else { return }
        await withTaskGroup(of: Void.self) { tasks in
            for endpoint in configuration.urls.indices {
                tasks.addTask { [self] in
                    repeat { await checkHealth(of: endpoint) } while (try? await Task.sleep(for: configuration.healthInterval)) != nil
                }
            }
            for await _ in retirement {}
            tasks.cancelAll()
        }
    }

    func retire() async { retirementContinuation.finish() }

    private func checkHealth(of endpoint: Int) async {
        let eventLoop = group.next()
        let isHealthy = try? await eventLoop.flatSubmit { [self] in
            let promise = eventLoop.makePromise(of: Bool.self)
            let check = HealthCheck(promise)
            let connector = UpstreamConnector(configuration, contexts: contexts, eventLoop: eventLoop)
            let connection = HTTPConnection(endpoint: endpoint, connector: connector, now: UpstreamPool.monotonic) { _ in }
            connection.begin(.init(head: configuration.head(.GET, configuration.healthPath, of: endpoint)), for: check)
            connection.connect(connector)
            // The whole check has the same timeout as its connection.
            let timer = eventLoop.assumeIsolated().scheduleTask(in: connector.timeout) { check.complete(false) }
            promise.futureResult.assumeIsolated().whenComplete { _ in
                timer.cancel()
                connection.close()
            }
            return promise.futureResult
        }.get()
        if !Task.isCancelled { pool.setHealth(of: endpoint, isHealthy ?? false) }
    }
}

/// A health check, completed by the status of its response.
private final class HealthCheck: HTTPExchange {
    private let promise: EventLoopPromise<Bool>
    private var isComplete = false

    init(_ promise: EventLoopPromise<Bool>) { self.promise = promise }

    func complete(_ isHealthy: Bool) {
        guard !isComplete else { return }
        isComplete = true
        promise.succeed(isHealthy)
    }

    func sent() {}
    func head(_ head: HTTPResponseHead) { complete((200...299).contains(head.status.code)) }
    func body(_ part: ByteBuffer) {}
    func ended() {}
    func failed(_ failure: CallFailure) { complete(false) }
}
