import GatewayCore
package import GatewayServer
import Logging
import NIOCore
package import NIOEmbedded

/// One event loop of the gateway without sockets, TLS or time of its own: connections are embedded channels, and the clock is moved by hand.
package final class LoopHarness {
    package let eventLoop = EmbeddedEventLoop()
    package let shared: SharedGateway
    package let shard: GatewayShard
    package var loop: EventLoopState { shard.loop }

    /// Development's defaults, with compression off so that frames can be read as they are; `change` adjusts them.
    package convenience init(upstream: any UpstreamProvider = LoopbackProvider(), _ change: (inout GatewayConfiguration) -> Void = { _ in })
    {
        self.init(beside: nil, upstream: upstream, change)
    }

    /// - Parameter other: a loop of the same gateway, whose clock is moved apart from this one's
    package init(
        beside other: LoopHarness?, upstream: any UpstreamProvider = LoopbackProvider(), store: (any SessionStore)? = nil,
        _ change: (inout GatewayConfiguration) -> Void = { _ in }
    ) {
        var configuration = GatewayConfiguration.defaults(for: .development)
        configuration.websocket.compression = .off
        change(&configuration)
        shared =
            other?.shared
            ?? SharedGateway(
                connectionLimits: ConnectionLimits(policy: ConnectionLimits.Policy(configuration)),
                sessions: SessionRegistry(limits: SessionRegistry.Limits(configuration)), health: HealthRegistry(),
                upstream: upstream, store: store)
        shard = GatewayShard(
            eventLoop: eventLoop, shared: shared, settings: GatewaySettings(configuration), seed: 1,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        loop.clock.manual = LoopClock.monotonicNanoseconds()
    }

    /// Lets time pass in ticks of 100 ms.
    package func advance(by duration: Duration) {
        var left = duration.clampedNanoseconds
        while left > 0 {
            let step = min(left, 100_000_000)
            loop.clock.manual? += step
            left -= step
            shard.tick()
            eventLoop.settle()
        }
    }

    /// An accepted connection with its whole pipeline but TLS.
    package func connect(from address: String = "192.0.2.1") throws -> EmbeddedConnection {
        let channel = EmbeddedChannel(loop: eventLoop)
        channel.remoteAddress = try SocketAddress(ipAddress: address, port: 50_000)
        try ConnectionPipeline.configure(channel, shard: shard, tls: nil)
        channel.connect(to: try SocketAddress(ipAddress: address, port: 50_000), promise: nil)
        return EmbeddedConnection(channel: channel)
    }

    /// A connection with an open session, whose `session` message was read.
    package func openSession(path: String = "/v1/ws", from address: String = "192.0.2.1") throws -> EmbeddedConnection {
        let connection = try connect(from: address)
        try connection.upgrade(path: path)
        _ = try connection.frames()
        return connection
    }
}

extension EmbeddedEventLoop {
    /// Runs what waits, and what goes on after a pause too short for any deadline.
    package func settle() { advanceTime(by: .milliseconds(100)) }
}
