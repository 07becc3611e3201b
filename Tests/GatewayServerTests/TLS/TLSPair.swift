// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOEmbedded
import Support
import Testing

@testable import GatewayTLS

/// A client and a server connected in memory, on one event loop with shared buffers, so that every test also covers buffer sharing.
final class TLSPair {
    let client: EmbeddedChannel
    let server: EmbeddedChannel
    let clientSide = Recorder()
    let serverSide = Recorder()
    let clientCloses = CloseRecorder()
    let serverCloses = CloseRecorder()
    let buffers: TLSBuffers
    /// The transferred bytes, by direction.
    private(set) var fromClient: [UInt8] = []
    private(set) var fromServer: [UInt8] = []

    init(server context: TLSContext, client clientContext: TLSClientContext, halfClosure: Bool = true) throws {
        let loop = EmbeddedEventLoop()
        buffers = TLSBuffers()
        client = EmbeddedChannel(loop: loop)
        server = EmbeddedChannel(loop: loop)
        for channel in [client, server] {
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: halfClosure)
        }
        try server.pipeline.syncOperations.addHandlers([
            serverCloses,
            try TLSHandler(
                server: context, buffers: buffers, plainHTTPDetail: ErrorReason.plainHTTP.message,
                correlationID: { "01ARZ3NDEKTSV4RRFFQ69G5FAV" }), serverSide,
        ])
        try client.pipeline.syncOperations.addHandlers([
            clientCloses, try TLSHandler(client: clientContext, buffers: buffers), clientSide,
        ])
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        try server.connect(to: address).wait()
        try client.connect(to: address).wait()
    }

    /// Creates a pair in which the client trusts the server's certificate: `localhost`, P-256.
    convenience init(
        _ certificates: TestCertificates, applicationProtocols: [String] = [], clientVersion: TLSVersion = .v1_2, halfClosure: Bool = true
    ) throws {
        let files = try certificates.files("localhost")
        try self.init(
            server: try TLSContext(TLSSettings(certificates: [files]), ticketKeys: TLSTicketKeys(rotation: .hours(12)), now: 0),
            client: try TLSClientContext(
                verify: .authority(path: files.certificate), serverName: "localhost", applicationProtocols: applicationProtocols,
                minimumVersion: clientVersion),
            halfClosure: halfClosure)
    }

    /// Transfers bytes in both directions, `chunk` at a time, until neither sends more.
    func pump(chunk: Int = .max) throws {
        var isSilent = false
        while !isSilent {
            isSilent = true
            while let buffer = try client.readOutbound(as: ByteBuffer.self) {
                isSilent = false
                fromClient += buffer.readableBytesView
                try deliver(buffer, to: server, chunk)
            }
            while let buffer = try server.readOutbound(as: ByteBuffer.self) {
                isSilent = false
                fromServer += buffer.readableBytesView
                try deliver(buffer, to: client, chunk)
            }
            client.embeddedEventLoop.run()
        }
    }

    func deliver(_ buffer: ByteBuffer, to channel: EmbeddedChannel, _ chunk: Int = .max) throws {
        var buffer = buffer
        while buffer.readableBytes > 0, channel.isActive, let part = buffer.readSlice(length: min(chunk, buffer.readableBytes)) {
            // A copy, because a socket read gets its own buffer, too.
            try channel.writeInbound(ByteBuffer(bytes: part.readableBytesView))
        }
    }

    /// Clears the recorded bytes.
    func clearWire() {
        fromClient = []
        fromServer = []
    }

    /// Returns the types and lengths of the records in `bytes` (RFC 8446 §5.1).
    static func records(_ bytes: [UInt8]) -> [(type: UInt8, length: Int)] {
        var records: [(type: UInt8, length: Int)] = []
        var index = 0
        while index + 5 <= bytes.count {
            let length = Int(bytes[index + 3]) << 8 | Int(bytes[index + 4])
            records.append((bytes[index], length))
            index += 5 + length
        }
        return records
    }
}

/// A handler that records everything from the handler before it.
final class Recorder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    var received: [UInt8] = []
    var reads: [ByteBuffer] = []
    var keepsReads = false
    var completed: [TLSHandshakeCompleted] = []
    var inputClosed = 0
    var errors: [any Error] = []
    var inactive = 0
    var readCompletes = 0
    var onRead: ((ChannelHandlerContext, ByteBuffer) -> Void)?

    var tlsErrors: [TLSError] { errors.compactMap { $0 as? TLSError } }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        received += buffer.readableBytesView
        if keepsReads { reads.append(buffer) }
        onRead?(context, buffer)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        readCompletes += 1
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as TLSHandshakeCompleted: completed.append(event)
        case ChannelEvent.inputClosed as ChannelEvent: inputClosed += 1
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errors.append(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        inactive += 1
    }
}

/// A handler in place of the socket that counts reads and closes. It completes half-closes itself, because an embedded channel would treat them
/// as full closes.
final class CloseRecorder: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    var outputs = 0
    var alls = 0
    var reads = 0

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch mode {
        case .output:
            outputs += 1
            promise?.succeed()
        case .all, .input:
            alls += 1
            context.close(mode: mode, promise: promise)
        }
    }

    func read(context: ChannelHandlerContext) {
        reads += 1
        context.read()
    }
}
