// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Synchronization

/// A TCP proxy between a client and a gateway that forwards bytes unchanged, and resets or stalls its connections on demand.
package final class DisconnectingProxy: Sendable {
    package let port: Int
    private let server: any Channel
    private let connections: Connections

    /// - Parameter target: the gateway's port on 127.0.0.1
    package init(port target: Int) async throws {
        let connections = Connections()
        self.connections = connections
        server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in
                connections.accept(client)
                return ClientBootstrap(group: client.eventLoop)
                    .channelInitializer { gateway in
                        gateway.eventLoop.makeCompletedFuture { try gateway.pipeline.syncOperations.addHandler(Forwarder(to: client)) }
                    }
                    .connect(host: "127.0.0.1", port: target)
                    .flatMap { gateway in
                        connections.add(gateway)
                        return client.eventLoop.submit { try client.pipeline.syncOperations.addHandler(Forwarder(to: gateway)) }
                    }
                    .flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = server.localAddress?.port ?? 0
    }

    /// Resets all connections.
    package func resetConnections() async {
        for channel in connections.removeAll() {
            try? await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
            try? await channel.close().get()
        }
    }

    /// Stops forwarding on the current connections, which stay open: what a client sees of a network that drops all packets.
    package func stallConnections() async {
        for channel in connections.all { try? await channel.setOption(.autoRead, value: false).get() }
    }

    /// Number of connections of clients since the start.
    package var accepted: Int { connections.accepted }

    package func stop() async {
        try? await server.close().get()
        await resetConnections()
    }

    private final class Connections: Sendable {
        private let channels = Mutex<[any Channel]>([])
        private let count = Atomic(0)

        var all: [any Channel] { channels.withLock { $0 } }
        var accepted: Int { count.load(ordering: .relaxed) }

        func add(_ channel: any Channel) { channels.withLock { $0.append(channel) } }
        func accept(_ channel: any Channel) {
            count.add(1, ordering: .relaxed)
            add(channel)
        }

        func removeAll() -> [any Channel] {
            channels.withLock { channels in
                defer { channels = [] }
                return channels
            }
        }
    }

    private final class Forwarder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let peer: any Channel

        init(to peer: any Channel) { self.peer = peer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { peer.writeAndFlush(unwrapInboundIn(data), promise: nil) }

        func channelInactive(context: ChannelHandlerContext) { peer.close(promise: nil) }
    }
}
