// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import GatewayServer
import Logging
import NIOCore
package import NIOEmbedded

/// One event loop of the gateway without sockets and TLS: connections are embedded channels, and the test advances the clock.
package final class LoopHarness {
    package let eventLoop = EmbeddedEventLoop()
    package let shared: SharedGateway
    package let shard: GatewayShard
    package var loop: EventLoopState { shard.loop }

    /// Creates a loop with development's defaults, as adjusted by `change`. Compression is off, so that frames can be read without
    /// inflating them.
    package convenience init(upstream: any UpstreamProvider = LoopbackProvider(), _ change: (inout GatewayConfiguration) -> Void = { _ in })
    {
        self.init(sharing: nil, upstream: upstream, change)
    }

    /// - Parameter other: another loop of the same gateway; its clock is independent. Nil for a new gateway.
    package convenience init(
        sharing other: LoopHarness?, upstream: any UpstreamProvider = LoopbackProvider(), store: (any SessionStore)? = nil,
        _ change: (inout GatewayConfiguration) -> Void = { _ in }
    ) {
        self.init(of: other?.shared, upstream: upstream, store: store, change)
    }

    /// - Parameter gateway: the state of the gateway that the loop belongs to; nil for a new gateway
    package init(
        of gateway: SharedGateway?, upstream: any UpstreamProvider = LoopbackProvider(), store: (any SessionStore)? = nil,
        _ change: (inout GatewayConfiguration) -> Void = { _ in }
    ) {
        var configuration = GatewayConfiguration.defaults(for: .development)
        configuration.websocket.compression = .off
        change(&configuration)
        shared =
            gateway
            ?? SharedGateway(
                connectionLimits: ConnectionLimits(policy: ConnectionLimits.Policy(configuration)),
                sessions: SessionRegistry(limits: SessionRegistry.Limits(configuration)), health: HealthRegistry(),
                upstream: upstream, store: store)
        shard = GatewayShard(
            eventLoop: eventLoop, shared: shared, settings: GatewaySettings(configuration),
            // Loops of one gateway make different ids, even within one millisecond.
            seed: gateway == nil ? 1 : 2,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        loop.clock.manual = LoopClock.monotonicNanoseconds()
    }

    /// Advances the clock in ticks of 100 ms.
    package func advance(by duration: Duration) {
        var remaining = duration.clampedNanoseconds
        while remaining > 0 {
            let step = min(remaining, 100_000_000)
            loop.clock.manual? += step
            remaining -= step
            shard.tick()
            eventLoop.runPendingTasks()
        }
    }

    /// Returns an accepted connection with its complete pipeline except TLS.
    package func connect(from address: String = "192.0.2.1") throws -> EmbeddedConnection {
        let channel = EmbeddedChannel(loop: eventLoop)
        channel.remoteAddress = try SocketAddress(ipAddress: address, port: 50_000)
        try ConnectionPipeline.configure(channel, shard: shard, tls: nil)
        channel.connect(to: try SocketAddress(ipAddress: address, port: 50_000), promise: nil)
        return EmbeddedConnection(channel: channel)
    }

    /// Returns a connection with an open session, after consuming its `session` message.
    package func openSession(path: String = "/v1/ws", from address: String = "192.0.2.1") throws -> EmbeddedConnection {
        let connection = try connect(from: address)
        try connection.upgrade(path: path)
        _ = try connection.frames()
        return connection
    }
}

extension EmbeddedEventLoop {
    /// Runs pending tasks, and those scheduled within 100 ms, which is shorter than any deadline.
    package func runPendingTasks() { advanceTime(by: .milliseconds(100)) }
}
