package import NIOCore

/// Bounds of the operations listener. None has a key: it serves operators, not clients.
package struct OperationsLimits: Sendable {
    /// At the limit, the connection that has been waiting longest for its client is closed for a new one.
    package var connections = 64
    /// Beyond ``connections``, when all of those are being served: for health only.
    package var healthConnections = 16
    /// From accepting a connection to the end of its first request head.
    package var headTimeout = TimeAmount.seconds(3)
    /// From a response to the end of the next request head.
    package var idleTimeout = TimeAmount.seconds(30)
    /// From a request's head to the last byte of its answer.
    package var requestTimeout = TimeAmount.seconds(10)
    /// For the client to read the last response of a connection before it is cut.
    package var lingerTimeout = TimeAmount.seconds(1)
    /// One header field, the request target too.
    package var headerFieldBytes = 8 << 10
    /// All header fields of a request.
    package var headerBytes = 16 << 10
    package var headerFields = 64
    /// Bytes of a body beyond it are discarded, and the connection closes; the routes that read a body refuse longer ones earlier.
    package var bodyBytes = 64 << 10

    package init() {}
}
