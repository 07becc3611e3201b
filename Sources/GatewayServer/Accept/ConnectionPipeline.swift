// SPDX-License-Identifier: Apache-2.0

import GatewayCore
package import GatewayTLS
import Logging
package import NIOCore
import NIOHTTP1

/// Assembles the pipeline of an accepted connection, in the order in which inbound bytes pass the handlers.
package enum ConnectionPipeline {
    /// - Parameter tls: nil for a connection of the listener without TLS
    package static func configure(_ channel: any Channel, shard: GatewayShard, tls context: TLSContext?) throws {
        let loop = shard.loop
        let connection = register(channel, shard: shard)
        let pipeline = channel.pipeline.syncOperations
        var proxyHeader: ProxyHeaderHandler?
        if connection.trustsForwardedFields, loop.settings.proxyProtocol != .off {
            proxyHeader = ProxyHeaderHandler(
                loop: loop, connection: connection, isRequired: loop.settings.proxyProtocol == .required,
                nextPhase: context == nil ? .head : .handshake)
            connection.phase = .proxyHeader
        }

        var tls: TLSHandler?
        if let context {
            tls = try TLSHandler(server: context, buffers: loop.tls, plainHTTPDetail: ErrorReason.plainHTTP.message) {
                "\(loop.effects.ids.ulid(at: LoopClock.wallMilliseconds()))"
            }
        } else if proxyHeader == nil {
            connection.phase = .head
            connection.deadline = connection.acceptedAt + loop.settings.headerTimeout
        }
        let gate = HeadGateHandler(
            limits: RequestHeadLimits(maximumBytes: loop.settings.maximumHeaderBytes, maximumFields: loop.settings.maximumHeaders))
        let parser = ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes))
        let upgrade = UpgradeHandler(
            loop: loop, sessions: shard.sessions, connection: connection, parser: parser, gate: gate, tls: tls)

        if let proxyHeader { try pipeline.addHandler(proxyHeader) }
        if let tls { try pipeline.addHandler(tls) }
        try pipeline.addHandler(gate)
        try pipeline.addHandler(parser)
        try pipeline.addHandler(upgrade)
    }

    private static func register(_ channel: any Channel, shard: GatewayShard) -> Connection {
        let loop = shard.loop
        let now = loop.clock.now
        let address = NetworkAddress(channel.remoteAddress)
        let text = address.map { Connection.text($0, port: channel.remoteAddress?.port ?? 0) } ?? "?"
        let isFromProxy = loop.shared.connectionLimits.isTrusted(address)
        let connection = Connection(
            id: loop.effects.ids.ulid(at: LoopClock.wallMilliseconds()), address: text,
            client: isFromProxy ? .exempt : ClientAddress(channel.remoteAddress), isFromProxy: isFromProxy, acceptedAt: now,
            deadline: now + min(loop.settings.handshakeTimeout, loop.settings.headerTimeout),
            abort: { channel.close(promise: nil) })
        shard.connections.add(connection)
        loop.metrics.accepted &+= 1
        let bound = NIOLoopBound((shard, connection), eventLoop: channel.eventLoop)
        channel.closeFuture.whenComplete { _ in
            let (shard, connection) = bound.value
            shard.connections.remove(connection)
            closed(connection, loop: shard.loop)
        }
        return connection
    }

    /// Logs a closed connection and releases its WebSocket from the connection limits.
    private static func closed(_ connection: Connection, loop: EventLoopState) {
        if connection.countsAsWebSocket { loop.shared.connectionLimits.releaseWebSocket(of: connection.client) }
        if let grant = connection.grant { loop.shared.access.users.release(connection.id, of: grant.user) }
        if let announced = connection.announced { loop.shared.connectionLimits.releaseAnnounced(announced) }
        let wasUpgraded = connection.isUpgraded
        if wasUpgraded {
            loop.metrics.countClose(connection.closeCode, by: connection.closeInitiator)
            loop.audit(
                .close, of: connection,
                [
                    .init("code", connection.closeCode ?? 1006), .init("reason", connection.closeReason ?? "closed"),
                    .init("duration_ms", (loop.clock.now - connection.acceptedAt).milliseconds),
                ])
            loop.shared.tracer?.end(connection)
        }
        if let phase = connection.timedOut {
            loop.metrics.rejections.add(.timeout)
            if phase == .handshake { loop.metrics.handshakeFailures.add(.timeout) }
        }
        // Port scans and health probes would flood the log at info.
        let level: Logger.Level = wasUpgraded ? .info : .debug
        guard loop.logger.logLevel <= level,
            case .write(let suppressed) = loop.throttle.admit(.connectionClosed, now: loop.clock.now)
        else { return }
        let duration = (loop.clock.now - connection.acceptedAt).milliseconds
        var metadata: Logger.Metadata = [
            "connection_id": "\(connection.id)",
            "reason": "\(connection.closeReason ?? "closed")",
            "duration_ms": .stringConvertible(duration),
            "bytes_in": .stringConvertible(connection.bytesIn),
            "bytes_out": .stringConvertible(connection.bytesOut),
            "messages_in": .stringConvertible(connection.messagesIn),
            "messages_out": .stringConvertible(connection.messagesOut),
        ]
        metadata.merge(connection.addressMetadata) { $1 }
        if let code = connection.closeCode { metadata["code"] = .stringConvertible(code) }
        if let grant = connection.grant { metadata["user"] = "\(grant.user)" }
        if let session = connection.sessionID { metadata["session_id"] = "\(session)" }
        if suppressed > 0 { metadata["suppressed"] = .stringConvertible(suppressed) }
        loop.logger.log(level: level, "connection closed", metadata: metadata)
    }
}
