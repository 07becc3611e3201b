package import GatewayTLS
package import NIOHTTP1

/// How a ``ClientWebSocket`` connects. The defaults are those of a well-behaved client; most of the rest is for tests.
package struct ClientWebSocketOptions: Sendable {
    package static let subprotocol = "parley.v1"
    package static let compressionOffer = "permessage-deflate; client_max_window_bits"

    /// Whom a `wss:` client trusts.
    package var verification = TLSClientContext.Verification.system
    /// The name asked for and looked for in the certificate; nil: the URL's host.
    package var serverName: String?
    /// Addresses that stand in for the look-up of the URL's host. The last one that covers it counts.
    package var resolutions: [HostResolution] = []
    /// Sent with the request. A field that we'd send ourselves is replaced.
    package var headers = HTTPHeaders()
    /// Fields of ours that aren't sent, in lower case.
    package var omittedHeaders: Set<String> = []
    /// Offered in this order.
    package var subprotocols = [Self.subprotocol]
    /// The value of `Sec-WebSocket-Extensions`; nil to offer none.
    package var compressionOffer: String? = Self.compressionOffer
    /// Sent instead of the request, as it is. The answer is read all the same.
    package var rawRequest: [UInt8]?

    /// Bytes of one message from the gateway, raw and inflated.
    package var maxMessageBytes = 16 << 20
    /// Events and bytes that wait for ``ClientWebSocket/next(within:)``; beyond either, the socket isn't read until half of them are taken.
    package var inboxEvents = 1024
    package var inboxBytes = 4 << 20

    /// For name, TCP, TLS and upgrade together.
    package var timeout = Duration.seconds(10)
    /// Between our close frame and the gateway's.
    package var closeTimeout = Duration.seconds(5)
    /// Whether WebSocket pings are answered, as RFC 6455 §5.5.3 demands.
    package var answersPings = true
    /// Whether they are reported as events as well.
    package var reportsPings = false

    package init() {}
}
