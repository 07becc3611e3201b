// SPDX-License-Identifier: Apache-2.0

package import GatewayTLS
package import NIOCore
package import NIOHTTP1
import NIOPosix
import ParleyClient

/// One HTTP/1.1 request and its response, on a dedicated connection that is closed afterwards. Redirects aren't followed.
package struct HTTPFetch: Sendable {
    package struct Response: Sendable {
        package var status: UInt
        package var body: ByteBuffer
    }

    /// A name, or an IPv4 or IPv6 address without brackets.
    package var host: String
    package var port: Int
    /// The TLS settings; nil for plain HTTP.
    package var tls: TLSClientContext?
    /// The deadline for the whole exchange, from name resolution to the end of the response.
    package var timeout: Duration
    /// Maximum size of the body. A larger one is rejected by its Content-Length, or as soon as it exceeds the limit.
    package var maximumBodyBytes: Int
    /// Checks the head of the response before its body is received.
    package var checkHead: @Sendable (HTTPResponseHead) throws(HTTPFetchError) -> Void

    /// Maximum duration of connecting, including name resolution.
    private static let connectTimeout = TimeAmount.seconds(10)

    /// - Parameter checkHead: throws to reject a response by its head; the default accepts every status
    package init(
        host: String, port: Int, tls: TLSClientContext? = nil, timeout: Duration, maximumBodyBytes: Int,
        checkHead: @escaping @Sendable (HTTPResponseHead) throws(HTTPFetchError) -> Void = { _ in }
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.timeout = timeout
        self.maximumBodyBytes = maximumBodyBytes
        self.checkHead = checkHead
    }

    /// Connects, sends the request, and returns the response. Cancelling the task closes the connection.
    ///
    /// - Parameters:
    ///   - request: should have `Host` and `Connection: close`
    ///   - eventLoop: the event loop of the connection
    package func perform(
        _ request: HTTPRequestHead, body: ByteBuffer? = nil, on eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    ) async throws(HTTPFetchError) -> Response {
        let timeout = TimeAmount(timeout)
        let response = eventLoop.makePromise(of: Response.self)
        let timer = eventLoop.scheduleTask(in: timeout) { response.fail(HTTPFetchError.timedOut(self.timeout)) }
        response.futureResult.whenComplete { _ in timer.cancel() }
        let bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(min(timeout, Self.connectTimeout))
        // A literal address is connected to directly: its failure is one error, instead of a list of errors per resolved address.
        let connecting =
            if let address = try? SocketAddress(ipAddress: host, port: port) {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: host, port: port)
            }
        connecting.whenComplete { result in
            switch result {
            case .failure(let error): response.fail(HTTPFetchError.cannotConnect(ConnectionErrorText.text(error)))
            case .success(let channel):
                // A promise ignores every result but the first. Whichever it is, the connection isn't used afterwards.
                response.futureResult.whenComplete { _ in channel.close(promise: nil) }
                do { try assemble(channel, request, body: body, response: response) } catch { response.fail(error) }
            }
        }
        do {
            return try await withTaskCancellationHandler {
                try await response.futureResult.get()
            } onCancel: {
                response.fail(HTTPFetchError.cancelled)
            }
        } catch let error as HTTPFetchError {
            throw error
        } catch {
            throw .lost(ConnectionErrorText.text(error))
        }
    }

    /// Adds the handlers of a connected channel. Adding them after connecting loses no bytes, because a server sends none before the request.
    private func assemble(
        _ channel: any Channel, _ request: HTTPRequestHead, body: ByteBuffer?, response: EventLoopPromise<Response>
    ) throws {
        guard channel.isActive else { throw HTTPFetchError.closed }
        let pipeline = channel.pipeline.syncOperations
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 16 * 1024
        limits.maxHeaderListSize = 64 * 1024
        let decoder = HTTPResponseDecoder(
            leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .forward, limitConfiguration: limits)
        try pipeline.addHandlers([
            HTTPRequestEncoder(), ByteToMessageHandler(decoder), NIOHTTPRequestHeadersValidator(),
            HTTPFetchHandler(self, request, body: body, response: response),
        ])
        if let tls { try pipeline.addHandler(TLSHandler(client: tls, buffers: TLSBuffers()), position: .first) }
    }
}
