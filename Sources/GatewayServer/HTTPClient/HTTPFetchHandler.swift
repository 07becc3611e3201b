// SPDX-License-Identifier: Apache-2.0

import GatewayTLS
import NIOCore
import NIOHTTP1
import ParleyClient

/// The handler of the connection of an ``HTTPFetch``. The completion of the promise closes the connection.
final class HTTPFetchHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let fetch: HTTPFetch
    private let request: HTTPRequestHead
    private let requestBody: ByteBuffer?
    private let response: EventLoopPromise<HTTPFetch.Response>
    private var received: HTTPFetch.Response?
    private var informationalResponses = 0

    /// Maximum informational responses (RFC 9110 §15.2) before the response.
    static let maximumInformationalResponses = 8

    init(_ fetch: HTTPFetch, _ request: HTTPRequestHead, body: ByteBuffer?, response: EventLoopPromise<HTTPFetch.Response>) {
        self.fetch = fetch
        self.request = request
        self.requestBody = body
        self.response = response
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if fetch.tls == nil { send(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        response.fail(HTTPFetchError.closed)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSHandshakeCompleted { send(context) }
        context.fireUserInboundEventTriggered(event)
    }

    private func send(_ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.head(request)), promise: nil)
        if let requestBody { context.write(wrapOutboundOut(.body(.byteBuffer(requestBody))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): receive(head)
        case .body(var part):
            guard let count = received?.body.readableBytes else { return }
            guard part.readableBytes <= fetch.maximumBodyBytes - count else {
                received = nil
                return response.fail(HTTPFetchError.bodyTooLong(fetch.maximumBodyBytes))
            }
            received?.body.writeBuffer(&part)
        case .end: if let received { response.succeed(received) }
        }
    }

    private func receive(_ head: HTTPResponseHead) {
        let isInformational = (100..<200).contains(head.status.code) && head.status != .switchingProtocols
        guard !isInformational else {
            informationalResponses += 1
            if informationalResponses > Self.maximumInformationalResponses { response.fail(HTTPFetchError.headTooLong) }
            return
        }
        do throws(HTTPFetchError) {
            try fetch.checkHead(head)
        } catch {
            return response.fail(error)
        }
        if let length = head.headers.first(name: "Content-Length").flatMap({ Int($0) }), length > fetch.maximumBodyBytes {
            return response.fail(HTTPFetchError.bodyTooLong(fetch.maximumBodyBytes))
        }
        received = HTTPFetch.Response(status: head.status.code, body: ByteBuffer())
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let failure: HTTPFetchError =
            switch error {
            // The parser reports this error if the connection closes within a response.
            case HTTPParserError.invalidEOFState: .closed
            case HTTPParserError.headerOverflow: .headTooLong
            case is HTTPParserError: .notHTTP
            // The end of a body without a length is authentic only with close_notify.
            case TLSError.truncated: .closed
            case let error as TLSError: .tls("\(error)")
            default: .lost(ConnectionErrorText.text(error))
            }
        response.fail(failure)
    }
}
