// SPDX-License-Identifier: Apache-2.0

package import GatewayTLS
package import NIOHTTP1

/// The options of a ``ClientWebSocket``. The defaults are those of a well-behaved client; most other values are for tests.
package struct ClientWebSocketOptions: Sendable {
    package static let subprotocol = "parley.v1"
    package static let compressionOffer = "permessage-deflate; client_max_window_bits"

    /// How the server's certificate is verified.
    package var verification = TLSClientContext.Verification.system
    /// The name sent in SNI and verified in the certificate; nil: the URL's host.
    package var serverName: String?
    /// Addresses that replace name resolution of the URL's host. The last matching entry applies.
    package var resolutions: [HostResolution] = []
    /// Header fields of the request. They replace fields of the same name that the client would send.
    package var headers = HTTPHeaders()
    /// Lowercase names of fields that are removed from the request.
    package var omittedHeaders: Set<String> = []
    /// Offered subprotocols, in this order.
    package var subprotocols = [Self.subprotocol]
    /// The value of `Sec-WebSocket-Extensions`; nil to offer none.
    package var compressionOffer: String? = Self.compressionOffer
    /// Raw bytes sent instead of the request. The response is parsed as usual.
    package var rawRequest: [UInt8]?

    /// Maximum bytes of a message from the gateway, both compressed and decompressed.
    package var maxMessageBytes = 16 << 20
    /// Maximum events and bytes that wait for ``ClientWebSocket/next(within:)``. Beyond either limit, the socket isn't read until both have fallen
    /// to half.
    package var inboxEvents = 1024
    package var inboxBytes = 4 << 20

    /// Timeout for name resolution, TCP, TLS and the upgrade together.
    package var timeout = Duration.seconds(10)
    /// Maximum wait for the gateway's close frame after the client's.
    package var closeTimeout = Duration.seconds(5)
    /// Whether each ping is replied to with a pong, as RFC 6455 §5.5.2 requires.
    package var sendsPongs = true
    /// Whether pings are also reported as events.
    package var reportsPings = false

    package init() {}
}
