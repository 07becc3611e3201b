// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// Sizes of single reads from upstreams, in bytes. The events of one read delay the other connections of the event loop.
enum UpstreamReadSize {
    /// For a connection that carries one response.
    static let single = 1024
    /// For a connection that carries many responses.
    static let shared = 16_384
}

/// One configured upstream across all event loops: makes its transports and runs its background work.
protocol UpstreamService: Sendable {
    /// Makes the transport of an event loop. To be called once, on that event loop.
    func makeTransport(on loop: CallContext) -> any UpstreamTransport

    /// Runs health checks and worker processes. Returns when cancelled or retired.
    func run() async

    /// Drains the upstream: idle connections close, requests in flight complete. Cancellation ends everything immediately.
    func retire() async
}

/// The transport of one upstream on one event loop: makes attempts at its endpoints.
package protocol UpstreamTransport: AnyObject {
    /// - Parameter reporter: kept until the attempt has ended
    func makeAttempt(_ request: borrowing UpstreamRequest, endpoint: Int, reporter: AttemptReporter) -> any UpstreamAttempt

    func tick(now: Instant)
    /// Forwards the state of a client, for upstreams that use it for turn-taking.
    func sendClientState(_ state: ClientMessage.Status.State, of session: ULID, replyTo: MessageID?, playedMilliseconds: Int64?)
    /// Drains the transport: only retries still arrive, and resources are released with the last request in flight.
    func retire()
    /// Releases all resources immediately.
    func close()
}

extension UpstreamTransport {
    package func tick(now: Instant) {}
    package func sendClientState(_ state: ClientMessage.Status.State, of session: ULID, replyTo: MessageID?, playedMilliseconds: Int64?) {}
    package func retire() {}
    package func close() {}
}
