// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
package import NIOCore

/// The link between one session and its upstreams, on the session's event loop.
///
/// The session sends commands; the link delivers events to its ``UpstreamEventSink``, immediately or later, but never more than
/// ``demand(_:)`` allowed. WebSocket, HTTP, process and loopback upstreams all implement this interface.
package protocol UpstreamLink: AnyObject {
    /// Sends a command. Its content is queued until there is demand. The session counts the queued bytes and rejects input beyond its
    /// limit, so the link needs no limit of its own.
    ///
    /// Events are delivered during this method or ``demand(_:)``, or in a separate event-loop task, but never while another connection's
    /// input is handled.
    ///
    /// - Parameter audio: the buffer that audio commands refer to by range; valid during the call
    func send(_ command: UpstreamCommand, audio: [UInt8])

    /// Allows `events` more events. Failures are delivered without demand.
    func demand(_ events: Int)

    /// Withdraws the unused demand.
    ///
    /// - Returns: the number of allowed events that weren't delivered
    func withdraw() -> Int

    /// Detaches the link from its event loop before the session is transferred. Nothing is delivered until ``move(to:on:)``.
    func detach()

    /// Attaches the link to the session's new event loop, on which it is called. From now on `session` receives all events.
    func move(to session: any UpstreamEventSink & ConversationSource, on eventLoop: any EventLoop)

    /// Closes the link of a session that has ended: cancels its requests and releases the sink. Nothing is delivered afterwards.
    func close()

    /// Whether the link responds during ``send(_:audio:)``.
    var isSynchronous: Bool { get }

    /// Bytes that the link holds, except those that the session counts as waiting for the upstream.
    var heldBytes: Int { get }
}

/// Makes the links of one event loop's sessions. Confined to that event loop.
package protocol UpstreamLinkFactory: AnyObject {
    /// Makes the link of a session. The link retains the session until it is closed.
    func makeLink(for session: any UpstreamEventSink & ConversationSource, id: ULID) -> any UpstreamLink

    /// Handles expired deadlines. To be called every 100 ms.
    func tick(now: Instant)

    /// Switches to the reloaded configuration.
    func reload()

    /// Cancels all requests and closes all connections.
    func shutDown()
}

/// The upstreams of the process, shared by all event loops.
package protocol UpstreamProvider: Sendable {
    /// - Parameter now: the clock of the event loop, which excludes time during which the process was suspended
    func makeLinkFactory(on eventLoop: any EventLoop, now: @escaping () -> Instant) -> any UpstreamLinkFactory

    /// The combined state of all upstreams.
    var state: UpstreamState { get }
    /// Paths that clients may connect to besides the gateway's own.
    var paths: Set<String> { get }
    /// Statistics of each upstream, for operators.
    var statistics: [UpstreamStatistics] { get }
    /// The metrics of each upstream.
    var readings: [UpstreamReading] { get }
}

extension UpstreamProvider {
    package var readings: [UpstreamReading] { [] }
}

/// The statistics and metrics of one upstream at one moment.
package struct UpstreamReading: Sendable {
    package var statistics: UpstreamStatistics
    package var metrics: UpstreamMetrics

    package init(statistics: UpstreamStatistics, metrics: UpstreamMetrics) {
        self.statistics = statistics
        self.metrics = metrics
    }
}
