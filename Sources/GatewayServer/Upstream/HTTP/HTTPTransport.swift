// SPDX-License-Identifier: Apache-2.0

import DequeModule
import GatewayCore
import NIOCore
import NIOHTTP1
import ParleyClient

/// The connections of one event loop to the endpoints of an HTTP upstream.
final class HTTPTransport: UpstreamTransport {
    private let configuration: GatewayConfiguration.Upstream
    private let connector: UpstreamConnector
    private let pool: UpstreamPool
    private let loop: CallContext
    /// Idle connections by endpoint, the longest idle first.
    private var idle: [Deque<HTTPConnection>]
    private var all: [ObjectIdentifier: HTTPConnection] = [:]
    private var isRetired = false

    /// How long a connection stays idle before it is reused, in nanoseconds. Not observed when the connection limit is reached.
    ///
    /// HTTP/1.1 doesn't number requests: data that an upstream sends after a response would be parsed as the response to the next request.
    /// Data that arrives during this time closes the connection.
    private static let reuseDelay: Int64 = 10_000_000

    init(_ configuration: GatewayConfiguration.Upstream, connector: UpstreamConnector, pool: UpstreamPool, loop: CallContext) {
        self.configuration = configuration
        self.connector = connector
        self.pool = pool
        self.loop = loop
        idle = configuration.urls.map { _ in [] }
    }

    func makeAttempt(_ request: borrowing UpstreamRequest, endpoint: Int, reporter: AttemptReporter) -> any UpstreamAttempt {
        let attempt = HTTPAttempt(reporter: reporter)
        do throws(CallFailure) {
            let call = try HTTPCall(request, configuration, now: { [loop] in loop.now })
            var head = configuration.request(call, to: endpoint)
            if let trace = request.trace {
                head.head.headers.replaceOrAdd(name: "traceparent", value: String(decoding: trace.traceparent, as: UTF8.self))
            }
            attempt.begin(call, head, on: connection(to: endpoint))
        } catch {
            reporter.failed(error)
        }
        return attempt
    }

    /// Returns the most recently used connection that has been idle for ``reuseDelay``, so that the others can reach `idle_close`. Opens a
    /// connection when no such connection exists.
    private func connection(to endpoint: Int) -> HTTPConnection {
        let canOpen = all.count < ConfiguredLimit.unlimitedIfZero(configuration.maxConnections)
        let idleBefore = loop.now.advanced(byNanoseconds: -Self.reuseDelay)
        while let first = idle[endpoint].indices.first {
            let found = idle[endpoint].lastIndex { $0.idleSince <= idleBefore }
            guard let index = found ?? (canOpen ? nil : first) else { break }
            let connection = idle[endpoint].remove(at: index)
            if connection.isReusable { return connection }
            connection.close()
        }
        let connection = HTTPConnection(endpoint: endpoint, connector: connector, now: { [loop] in loop.now }) { [weak self] in
            self?.changed($0)
        }
        all[ObjectIdentifier(connection)] = connection
        pool.count { $0.connections += 1 }
        connection.connect(connector)
        if isRetired { connection.retire() }
        return connection
    }

    private func changed(_ connection: HTTPConnection) {
        if connection.isClosed {
            guard all.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
            pool.count { $0.connections -= 1 }
            idle[connection.endpoint].removeAll { $0 === connection }
        } else {
            idle[connection.endpoint].append(connection)
        }
    }

    func tick(now: Instant) {
        for connection in all.values {
            connection.tick(
                now: now, idleClose: ConfiguredLimit.unlimitedIfZero(configuration.idleClose),
                maxAge: ConfiguredLimit.unlimitedIfZero(configuration.maxAge))
        }
    }

    func retire() {
        isRetired = true
        for connection in all.values { connection.retire() }
    }

    func close() {
        for connection in all.values { connection.close() }
    }
}

extension GatewayConfiguration.Upstream {
    /// Returns the HTTP request that performs a call at an endpoint.
    func request(_ call: HTTPCall, to endpoint: Int) -> HTTPConnection.Request {
        // The query of the configured URL follows the API path: Azure OpenAI reads its API version from the query.
        let query = urls[endpoint].location.target.drop { $0 != "?" }
        var head = head(.POST, requestPath(to: endpoint) + query, of: endpoint)
        head.headers.replaceOrAdd(name: "Content-Type", value: call.contentType)
        head.headers.replaceOrAdd(name: "Accept", value: call.accept)
        head.headers.replaceOrAdd(name: "Content-Length", value: "\(call.body.count)")
        return HTTPConnection.Request(head: head, body: call.body)
    }

    func head(_ method: HTTPMethod, _ target: String, of endpoint: Int) -> HTTPRequestHead {
        var headers: HTTPHeaders = ["Host": urls[endpoint].location.authority]
        addFields(to: &headers)
        return HTTPRequestHead(version: .http1_1, method: method, uri: target, headers: headers)
    }

    /// The resource of an OpenAI-compatible server, relative to the path of the URL.
    var apiPath: String {
        switch (kind, task) {
        case (.openai, .chat): "/chat/completions"
        case (.openai, .transcription): "/audio/transcriptions"
        case (.openai, .speech): "/audio/speech"
        default: ""
        }
    }
}
