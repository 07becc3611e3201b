// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import NIOCore
import NIOPosix
import ParleyClient
import Synchronization

/// The connections of the links.
extension NodeLinks {
    /// Returns the link to a node, which is dialed if no link is open. Concurrent calls share one connection.
    func link(to node: ULID, at address: SocketEndpoint) -> EventLoopFuture<NodeLink> {
        enum Step {
            case ready(EventLoopFuture<NodeLink>)
            case dial(EventLoopPromise<NodeLink>)
        }
        let eventLoop = group.any()
        guard node != settings.node else { return eventLoop.makeFailedFuture(NodeLinkError.rejected(.sameNode)) }
        let step = state.withLock { state -> Step in
            if let link = state.links[node] { return .ready(link.eventLoop.makeSucceededFuture(link)) }
            if state.isShutDown { return .ready(eventLoop.makeFailedFuture(NodeLinkError.shutDown)) }
            if let dial = state.dials[node] { return .ready(dial) }
            let promise = eventLoop.makePromise(of: NodeLink.self)
            state.dials[node] = promise.futureResult
            return .dial(promise)
        }
        switch step {
        case .ready(let link): return link
        case .dial(let promise):
            dial(node, at: address, on: eventLoop).whenComplete { [self] result in
                let winner = state.withLock { state in
                    state.dials[node] = nil
                    return state.links[node]
                }
                // The peer may have dialed at the same time.
                if let winner { promise.succeed(winner) } else { promise.completeWith(result) }
            }
            return promise.futureResult
        }
    }

    private func dial(_ node: ULID, at address: SocketEndpoint, on eventLoop: any EventLoop) -> EventLoopFuture<NodeLink> {
        let tls: TLSClientContext?
        do {
            tls = try settings.security.tls?.client(host: address.host)
        } catch {
            return eventLoop.makeFailedFuture(NodeLinkError.unreachable("\(error)"))
        }
        let established = eventLoop.makePromise(of: NodeLink.self)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.writeBufferWaterMark, value: .init(low: 65_536, high: 262_144))
            .connectTimeout(settings.connectTimeout)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(TLSHandler(client: tls, buffers: TLSBuffers())) }
                    try pipeline.addHandler(
                        NodeLinkHandler(settings: settings, expected: node, owner: self, established: established))
                }
            }
        let connecting =
            if let address = try? SocketAddress(ipAddress: address.host, port: address.port) {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: address.host, port: address.port)
            }
        connecting.whenFailure { established.fail(NodeLinkError.unreachable(ConnectionErrorText.text($0))) }
        return established.futureResult
    }

    func bind(_ address: SocketEndpoint) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 65_536, high: 262_144))
            .childChannelInitializer { [self] channel in accept(channel) }
            .bind(host: address.host, port: address.port).get()
    }

    private func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
        let isAdmitted = state.withLock { state in
            guard state.handshakes < settings.handshakes, !state.isShutDown else { return false }
            state.handshakes += 1
            return true
        }
        guard isAdmitted else { return channel.eventLoop.makeFailedFuture(NodeLinkError.rejected(.tooManyConnections)) }
        let secured = channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            if let tls = settings.security.tls {
                try pipeline.addHandler(
                    TLSHandler(server: tls.server, buffers: TLSBuffers(), plainHTTPDetail: ErrorReason.plainHTTP.message) {
                        var generator = SystemRandomNumberGenerator()
                        return "\(ULID(unixMilliseconds: LoopClock.wallMilliseconds(), using: &generator))"
                    })
            }
        }
        let completed = secured.flatMap { [self] in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(
                    NodeLinkHandler(settings: settings, expected: nil, owner: self, established: nil))
            }
        }
        completed.whenFailure { [self] _ in state.withLock { $0.handshakes -= 1 } }
        return completed
    }
}
