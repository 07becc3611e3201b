// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOPosix

/// One HTTP request to an operations listener and its response, on a dedicated connection.
final class OperationsExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    struct Response: Sendable {
        var status: UInt
        var body: ByteBuffer
    }

    /// The reason why there is no response, apart from socket errors and errors of the HTTP parser.
    enum Failure: Error {
        case timedOut
        /// The connection closed before the response was complete.
        case closed
        case bodyTooLong
    }

    /// Well above the size of the largest report, a few megabytes.
    static let maximumBodyBytes = 256 << 20
    private static let timeout = TimeAmount.seconds(30)
    private static let connectTimeout = TimeAmount.seconds(10)

    private let request: HTTPRequestHead
    private let requestBody: ByteBuffer?
    private let response: EventLoopPromise<Response>
    private let deadline: NIODeadline
    private var timer: Scheduled<Void>?
    private var received: Response?

    private init(_ request: HTTPRequestHead, body: ByteBuffer?, deadline: NIODeadline, response: EventLoopPromise<Response>) {
        self.request = request
        self.requestBody = body
        self.deadline = deadline
        self.response = response
    }

    /// Connects within 10 s, sends the request, and returns the response within 30 s of the call.
    ///
    /// - Parameter host: a name, or an IPv4 or IPv6 address without brackets
    static func perform(_ request: HTTPRequestHead, body: ByteBuffer?, host: String, port: Int) async throws -> Response {
        let deadline = NIODeadline.now() + timeout
        let response = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: Response.self)
        let bootstrap = ClientBootstrap(group: response.futureResult.eventLoop)
            .connectTimeout(connectTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(OperationsExchange(request, body: body, deadline: deadline, response: response))
                }
            }
        do {
            // A literal address is connected to directly: its failure is one error, instead of a list of errors per resolved address.
            if let address = try? SocketAddress(ipAddress: host, port: port) {
                _ = try await bootstrap.connect(to: address).get()
            } else {
                _ = try await bootstrap.connect(host: host, port: port).get()
            }
        } catch {
            response.fail(error)
        }
        return try await response.futureResult.get()
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(deadline: deadline) { [response] in
            response.fail(Failure.timedOut)
            channel.close(promise: nil)
        }
        context.write(wrapOutboundOut(.head(request)), promise: nil)
        if let requestBody { context.write(wrapOutboundOut(.body(.byteBuffer(requestBody))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // Without a timer this connection attempt failed; `perform` tries the next address or reports the error.
        guard let timer else { return }
        timer.cancel()
        response.fail(Failure.closed)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): received = Response(status: head.status.code, body: ByteBuffer())
        case .body(var part):
            guard (received?.body.readableBytes ?? 0) + part.readableBytes <= Self.maximumBodyBytes else {
                return fail(Failure.bodyTooLong, context: context)
            }
            received?.body.writeBuffer(&part)
        case .end:
            if let received { response.succeed(received) }
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The parser reports this error if the connection closes within a response.
        if case HTTPParserError.invalidEOFState? = error as? HTTPParserError { return fail(Failure.closed, context: context) }
        fail(error, context: context)
    }

    /// Fails the response and closes the connection. A promise ignores every result but the first.
    private func fail(_ error: any Error, context: ChannelHandlerContext) {
        response.fail(error)
        context.close(promise: nil)
    }
}
