// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The limits of the operations listener. Not configurable, because it serves operators, not clients.
package struct OperationsLimits: Sendable {
    /// At the limit, the connection that has been idle longest is closed for a new one.
    package var connections = 64
    /// Connections of ``connections`` that may receive a stream of events at a time.
    package var streams = 32
    /// Additional connections when all ``connections`` are busy: for health only.
    package var healthConnections = 16
    /// The time from accepting a connection to the end of its first request head.
    package var headTimeout = TimeAmount.seconds(3)
    /// The time from a response to the end of the next request head.
    package var idleTimeout = TimeAmount.seconds(30)
    /// The time from a request's head to the last byte of its response.
    package var requestTimeout = TimeAmount.seconds(10)
    /// The time for the client to read the last response before the connection is aborted.
    package var lingerTimeout = TimeAmount.seconds(1)
    /// The limit on a header field, and on the request target.
    package var headerFieldBytes = 8 << 10
    /// The limit on all header fields of a request together.
    package var headerBytes = 16 << 10
    package var headerFields = 64
    /// Body bytes beyond this limit are discarded, and the connection closes. Routes that read a body reject longer ones earlier.
    package var bodyBytes = 64 << 10

    package init() {}
}
